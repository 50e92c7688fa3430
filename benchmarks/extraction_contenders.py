"""The contenders of `extraction.py`: `python extraction_contenders.py NAME PAGES OUT`, JSON lines both.

Prints the CPU time of all timed pages, in seconds; imports and a first page are not counted.
"""

import html
import io
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Page = dict[str, Any]
Links = list[tuple[int, int, str]]  # start, end, target as written; -1 where the tool tells no place
# What the tree places in a reference, a table or the like is no prose.
NOT_PROSE = frozenset(
    {
        *("ref", "references", "gallery", "math", "chem", "ce", "table", "timeline", "imagemap", "score"),
        *("pre", "source", "syntaxhighlight"),
    }
)


def kgcorpus() -> Callable[[Page], Any]:
    """Ours, with the wiki's namespaces."""
    from kgcorpus.wiki.site import Site
    from kgcorpus.wiki.wikitext import parse

    sites: dict[str, Site] = {}

    def extract(page: Page) -> Any:
        key = page["source"]
        if key not in sites:
            sites[key] = Site.from_dict(page["site"])
        return parse(page["wikitext"], sites[key])

    return extract


def wikiextractor() -> Callable[[Page], Any]:
    """`-l`: HTML anchors in the text."""
    from wikiextractor.extract import Extractor

    def extract(page: Page) -> Any:
        out = io.StringIO()
        Extractor(1, "", "", page["title"], [page["wikitext"]], keepLinks=True, to_text=True).extract(out)
        return out.getvalue()

    return extract


def mwparserfromhell() -> Callable[[Page], Any]:
    """A walk of the tree that collects text and spans."""
    import mwparserfromhell as engine
    from mwparserfromhell import nodes

    def extract(page: Page) -> Any:
        media = tuple(page["media"])
        parts: list[str] = []
        links: Links = []
        length = 0

        def add(text: str) -> None:
            nonlocal length
            parts.append(text)
            length += len(text)

        def walk(code: Any) -> None:
            for node in code.nodes:
                match node:
                    case nodes.Text():
                        add(node.value)
                    case nodes.Wikilink():
                        target = str(node.title)
                        if not target.strip().lower().startswith(media):
                            start = length
                            walk(node.text if node.text is not None else node.title)
                            links.append((start, length, target))
                    case nodes.Tag():
                        if str(node.tag).strip().lower() not in NOT_PROSE and node.contents is not None:
                            walk(node.contents)
                    case nodes.ExternalLink() | nodes.Heading():
                        if node.title is not None:
                            walk(node.title)
                    case nodes.HTMLEntity():
                        add(node.normalize())

        walk(engine.parse(page["wikitext"]))
        return "".join(parts), links

    return extract


_ANCHOR = re.compile(r'<a href="([^"]*)">|</a>')


def plain(found: Any) -> tuple[str, Links]:
    """What a contender has found as text and links; not timed."""
    if isinstance(found, str):
        found = html.unescape(found)  # it escapes its own anchors too
        return _ANCHOR.sub("", found), [
            (-1, -1, unquote(target)) for target in _ANCHOR.findall(found) if target
        ]
    if isinstance(found, tuple):
        return found
    return found.text, [(link.start, link.end, link.target) for link in found.links]


CONTENDERS: dict[str, Callable[[], Callable[[Page], Any]]] = {
    "kgcorpus": kgcorpus,
    "wikiextractor -l": wikiextractor,
    "mwparserfromhell's tree": mwparserfromhell,
}


def main() -> None:
    name, source, out = sys.argv[1:]
    pages = [json.loads(line) for line in Path(source).read_text(encoding="utf-8").splitlines()]
    extract = CONTENDERS[name]()
    extract(pages[0])
    slowest, total, rows = 0.0, 0.0, []
    for page in pages:
        started = time.process_time()
        found = extract(page)
        took = time.process_time() - started
        if page["timed"]:
            total += took
            slowest = max(slowest, took)
        rows.append(json.dumps(dict(zip(("text", "links"), plain(found), strict=True))))
    print(json.dumps({"cpu": total, "slowest": slowest}))
    Path(out).write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
