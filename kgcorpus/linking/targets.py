"""Names of link targets: an entity's id, or `[[lang:title]]` for a page without an item.

Ids are opaque strings and may contain a colon (CURIEs, URIs), so a page is marked by double brackets, which
no page title can contain.
"""

_OPEN, _CLOSE = "[[", "]]"


def page_target(lang: str, title: str) -> str:
    """Return the target that names a page without an item."""
    return f"{_OPEN}{lang}:{title}{_CLOSE}"


def page_title(target: str) -> str | None:
    """Return the title in a target that `page_target` made; None for the id of an entity."""
    if not (target.startswith(_OPEN) and target.endswith(_CLOSE)):
        return None
    return target[len(_OPEN) : -len(_CLOSE)].partition(":")[2]
