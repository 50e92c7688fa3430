"""The demo's Wikipedia: wikitext sources, converted to dumps in the official format.

A source `world/wikipedia/LANG.wikitext` is plain text. The line `== page: TITLE | id N | ns N` starts a page,
whose wikitext ends before the next such line; lines before the first one are a comment. `sites.json` contains
the site information of each dump (name, main page, namespaces), and whether the dump is compressed.
"""

import bz2
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from xml.sax.saxutils import escape, quoteattr

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.store import replacing
from kgcorpus.wiki.site import Site

WIKIPEDIA = Path(__file__).parent / "world" / "wikipedia"

_EXPORT = "http://www.mediawiki.org/xml/export-0.11"
_HEADER = re.compile(r"^== page: (?P<title>.+) \| id (?P<id>\d+) \| ns (?P<ns>-?\d+)$", re.MULTILINE)
# A fixed timestamp and contributor keep the dumps' bytes stable.
_TIMESTAMP = "2024-05-01T00:00:00Z"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class WikiInfo(TypedDict):
    """Entry of `sites.json`; `namespaces` maps MediaWiki's numbers to local names."""

    sitename: str
    main: str
    compressed: bool
    namespaces: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class SourcePage:
    """A page of a wikitext source; `namespace` is MediaWiki's number (0 for articles)."""

    title: str
    page_id: int
    namespace: int
    text: str


def wikis() -> dict[str, WikiInfo]:
    """Return the demo's wikis by language code, in the order of `sites.json`."""
    loaded: dict[str, WikiInfo] = json.loads((WIKIPEDIA / "sites.json").read_text(encoding="utf-8"))
    return loaded


def read_pages(source: Path) -> list[SourcePage]:
    """Parse the pages of a wikitext source, in order.

    Raises:
        InputError: the source contains no page header.
    """
    content = source.read_text(encoding="utf-8")
    headers = list(_HEADER.finditer(content))
    if not headers:
        raise InputError(
            "no page found", where=str(source), hint="Open each page with `== page: TITLE | id N | ns N`"
        )
    ends = [header.start() for header in headers[1:]] + [len(content)]
    return [
        SourcePage(
            title=header["title"],
            page_id=int(header["id"]),
            namespace=int(header["ns"]),
            text=content[header.end() : end].strip(),
        )
        for header, end in zip(headers, ends, strict=True)
    ]


def write_dumps(folder: Path) -> list[Path]:
    """Write one pages-articles dump for each language (MediaWiki export 0.11) into `folder`.

    Returns:
        The files `LANGwiki-demo-pages-articles.xml`, most of them with `.bz2`. The bytes are deterministic.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for lang, info in wikis().items():
        dump = _render(lang, info, read_pages(WIKIPEDIA / f"{lang}.wikitext")).encode("utf-8")
        path = folder / f"{lang}wiki-demo-pages-articles.xml"
        if info["compressed"]:
            path = path.with_name(f"{path.name}.bz2")
            dump = bz2.compress(dump)
        # Unchanged dumps are not rewritten, because a build detects changed inputs by their timestamps.
        if not path.is_file() or path.read_bytes() != dump:
            with replacing(path) as temporary:
                temporary.write_bytes(dump)
        written.append(path)
    return written


def _render(lang: str, info: WikiInfo, pages: list[SourcePage]) -> str:
    namespaces = "\n".join(
        f'      <namespace key="{key}" case="first-letter"' + (f">{name}</namespace>" if name else " />")
        for key, name in info["namespaces"].items()
    )
    head = f"""\
<mediawiki xmlns="{_EXPORT}/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="{_EXPORT}/ {_EXPORT}.xsd" version="0.11" xml:lang="{lang}">
  <siteinfo>
    <sitename>{info["sitename"]}</sitename>
    <dbname>{lang}wiki</dbname>
    <base>https://{lang}.wikipedia.org/wiki/{info["main"]}</base>
    <generator>MediaWiki 1.43.0</generator>
    <case>first-letter</case>
    <namespaces>
{namespaces}
    </namespaces>
  </siteinfo>
"""
    site = Site.of(lang, names={name: int(key) for key, name in info["namespaces"].items()})
    return head + "".join(_render_page(page, site) for page in pages) + "</mediawiki>\n"


def _render_page(page: SourcePage, site: Site) -> str:
    raw = page.text.encode("utf-8")
    sha1 = _base36_sha1(raw)
    target = site.redirect_target(page.text)
    # Official dumps name the target page of a redirect without the section.
    page_name = target.partition("#")[0] if target else ""
    redirect = f"    <redirect title={quoteattr(page_name)} />\n" if page_name else ""
    text = escape(page.text, {'"': "&quot;"})
    body = f">{text}</text>" if text else " />"
    return f"""\
  <page>
    <title>{escape(page.title)}</title>
    <ns>{page.namespace}</ns>
    <id>{page.page_id}</id>
{redirect}    <revision>
      <id>{page.page_id + 10_000}</id>
      <timestamp>{_TIMESTAMP}</timestamp>
      <contributor>
        <username>Demo</username>
        <id>1</id>
      </contributor>
      <origin>{page.page_id + 10_000}</origin>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{len(raw)}" sha1="{sha1}" xml:space="preserve"{body}
      <sha1>{sha1}</sha1>
    </revision>
  </page>
"""


def _base36_sha1(raw: bytes) -> str:
    """SHA-1 in MediaWiki's notation: 31 digits in base 36."""
    number = int.from_bytes(hashlib.sha1(raw).digest(), "big")
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits.rjust(31, "0")
