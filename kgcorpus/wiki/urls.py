"""Permanent URLs of page revisions, for attribution."""

import re
from urllib.parse import quote, urlsplit

# As MediaWiki writes titles in URLs: these stay as they are.
_SAFE_IN_TITLE = "!$()*,/:;@~"
_WIKIMEDIA = re.compile(
    r"(?:[a-z-]+\.)?(?:m\.)?(?:wikipedia|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity"
    r"|wikivoyage|wikimedia|wikidata|mediawiki)\.org"
)


def revision_url(base: str, title: str, revision: int | None) -> str | None:
    """Return the URL that shows this revision of a page, also after later edits.

    Args:
        base: URL of any page of the wiki, as `<base>` of a dump.
        title: the page's title, in the dump's form.
        revision: the revision's id.

    Returns:
        On Wikimedia's wikis `https://DOMAIN/w/index.php?title=TITLE&oldid=REVISION`; elsewhere the path of
        the base with the title and `oldid`. None if the revision is unknown or the base is no web address.
    """
    try:
        parts = urlsplit(f"https:{base}" if base.startswith("//") else base)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if revision is None or parts.scheme not in ("http", "https") or not host:
        return None
    name = quote(title.replace(" ", "_"), safe=_SAFE_IN_TITLE)
    script, is_script, _ = parts.path.partition("index.php")
    if parts.path.startswith("/wiki/") and _WIKIMEDIA.fullmatch(host):
        path = f"/w/index.php?title={name}&oldid={revision}"
    elif is_script:
        path = f"{script}index.php?title={name}&oldid={revision}"
    else:
        path = f"{parts.path.rpartition('/')[0]}/{name}?oldid={revision}"
    return f"{parts.scheme}://{host}{path}"
