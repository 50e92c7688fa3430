"""Names of link targets: an entity's id, or `[[lang:title]]` for a page without an item.

Ids are opaque strings and may contain a colon (CURIEs, URIs). A page is therefore marked by double brackets;
`kgcorpus.contracts.ids.read_id` refuses an id of this form.
"""

from kgcorpus.contracts.ids import PAGE_TARGET


def page_target(lang: str, title: str) -> str:
    """Return the target that names a page without an item."""
    return f"[[{lang}:{title}]]"


def page_title(target: str) -> str | None:
    """Return the title in a target that `page_target` made; None for the id of an entity."""
    found = PAGE_TARGET.fullmatch(target)
    return found[1] if found else None
