"""Raw pages to rows of table `pages`."""

from collections.abc import Iterable, Iterator, Set
from typing import Any

from kgcorpus.contracts.tally import DROPPED_TEMPLATE, Tally
from kgcorpus.wiki.dump import RawPage
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.urls import revision_url
from kgcorpus.wiki.wikitext import is_disambiguation, parse

_LONGEST_NAME = 60


def page_rows(
    pages: Iterable[RawPage], *, site: Site, tally: Tally, keep: Set[str] = frozenset()
) -> Iterator[dict[str, Any]]:
    """Rows of table `pages`: articles, disambiguation pages and redirects of the main namespace.

    A redirect has no text and no links; one to a section keeps it in `redirect`, as in `Title#Section`.

    Args:
        keep: as of `wikitext.parse`.
        tally: counts `other_namespace`, `not_wikitext` (another content model, e.g. JSON or Lua) and
            `no_text` as drops; `unbalanced_markup`, pages on which a template, table or link is opened and
            not closed; `nested_too_deep`, pages with markup deeper than `wikitext` looks; and
            `dropped_template.LANG.NAME`, uses of a template beside other text that no renderer is known for.
    """
    for page in pages:
        ns = site.namespace_of(page.title) if page.ns is None else page.ns
        if ns != 0:
            tally.drop("other_namespace")
            continue
        if not page.is_wikitext:
            tally.drop("not_wikitext")
            continue
        # `<redirect>` names no section: only the text does.
        redirect = site.redirect_target(page.wikitext, known=page.redirect is not None)
        if redirect is None and page.redirect is not None:
            redirect = site.normalise_title(page.redirect) or None
        row = _row(page, site)
        if redirect is not None:
            tally.count("redirects")
            yield row | {"redirect": redirect}
            continue
        article = parse(page.wikitext, site, keep=keep)
        if not article.text:
            tally.drop("no_text")
            continue
        tally.count("articles")
        tally.count("links", len(article.links))
        if not article.balanced:
            tally.count("unbalanced_markup")
        if not article.shallow:
            tally.count("nested_too_deep")
        for name in article.dropped:
            tally.count(f"{DROPPED_TEMPLATE}.{site.lang}.{_short(name)}")
        yield row | {
            "text": article.text,
            "links": [link._asdict() for link in article.links],
            "blocks": article.kinds,
            "disambiguation": is_disambiguation(page.wikitext, site),
        }


def _short(name: str) -> str:
    """A template's name as a line of `wikipedia[].templates` has it; a long one is none, and cut."""
    return " ".join(name.replace("_", " ").split()).lower()[:_LONGEST_NAME]


def _row(page: RawPage, site: Site) -> dict[str, Any]:
    return {
        "page_id": page.page_id,
        "title": page.title,
        "lang": site.lang,
        "qid": None,
        "revision": page.revision,
        "time": page.time,
        "url": revision_url(site.base, page.title, page.revision),
        "text": "",
        "links": [],
        "blocks": [],
        "redirect": None,
        "disambiguation": False,
    }
