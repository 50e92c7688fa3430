"""Wikitext to plain text with its links: `parse` is `markup` (all but links), then `links`."""

from collections.abc import Set

from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext.disambiguation import is_disambiguation
from kgcorpus.wiki.wikitext.links import Article, Link, link_up
from kgcorpus.wiki.wikitext.markup import strip_markup

__all__ = ["Article", "Link", "is_disambiguation", "parse"]


def parse(wikitext: str, site: Site, *, keep: Set[str] = frozenset()) -> Article:
    """The prose of a page and the links in it.

    Templates that carry text are rendered (see `templates`), all others, references, media, tables and
    formulas are removed; paragraphs, headings and list items are joined by one newline. Never raises;
    takes time linear in the page, whatever is in it.

    Args:
        keep: further blocks that stay: `cell` (of tables) and `caption` (of tables and files).
    """
    return link_up(strip_markup(wikitext, site, keep), site)
