"""Text and links of real pages, ours beside wikiextractor and a walk of mwparserfromhell's tree, in one run.

    python benchmarks/extraction.py --dump DUMP... [--pages ARCHIVE] [--rounds 5] [--peers PYTHON]

Every contender runs in a process of its own, in turn; the median of its CPU times counts. The links that the
tree places outside templates, references, tables and media are the gold, as page titles. It reads the pages
without apostrophes, which carry no link, and without the indents of tables: where a mark is not closed or a
table is indented, it takes cells and references for prose. A template is kept if the number or text that it
carries is in what is left of `x {{template}} y`. Peers run in benchmarks/.venv-peers, with
wikiextractor==3.1.0 and mwparserfromhell in it. Writes benchmarks/results/extraction.{json,md}.
"""

import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mwparserfromhell
from extraction_contenders import CONTENDERS, NOT_PROSE
from mwparserfromhell.nodes import ExternalLink, Heading, Tag, Template, Wikilink

from kgcorpus.inputs import open_input
from kgcorpus.wiki.dump import read_pages, read_site
from kgcorpus.wiki.site import Site

HERE = Path(__file__).parent
OURS = "kgcorpus"
GOALS = {"wikiextractor -l": 5, "mwparserfromhell's tree": 15}
LEFTOVER = re.compile(r"\[\[|\]\]|\{\{|\}\}|\{\||\|\}|''|</?(?:ref|br|small|su[bp]|div|span)\b|&nbsp;|<!--")
# The argument that a template must not lose.
CARRIED = {
    **dict.fromkeys(("convert", "cvt", "val", "formatnum", "nowrap", "nihongo", "circa", "chem"), 1),
    **dict.fromkeys(("birth date", "birth date and age", "death date", "death date and age", "as of"), 1),
    "lang": 2,
}
_APOSTROPHES = re.compile("''+")
_INDENTED_TABLE = re.compile(r"\n[ \t:]+(?=\{\|)")
Page = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dump", type=Path, nargs="+", required=True, help="pages-articles XML")
    parser.add_argument("--pages", type=Path, help="an archive of English wikitext, a page a .txt file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=str(HERE / ".venv-peers" / "bin" / "python"))
    arguments = parser.parse_args()
    pages = [page for dump in arguments.dump for page in articles(dump)]
    if arguments.pages:
        pages += archived(arguments.pages)
    gold = [Gold(page) for page in pages]
    probes = [
        {**page, "wikitext": f"x {template} y", "timed": False}
        for page, seen in zip(pages, gold, strict=True)
        for template, _ in seen.templates
    ]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        source, out = Path(temporary) / "pages.jsonl", Path(temporary) / "out.jsonl"
        rows = (json.dumps(page) for page in [*pages, *probes])
        source.write_text("\n".join(rows) + "\n", encoding="utf-8")
        for _ in range(arguments.rounds):
            for name, taken in runs.items():
                python = sys.executable if name == OURS else arguments.peers
                command = [python, str(HERE / "extraction_contenders.py"), name, str(source), str(out)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                taken.append(json.loads(done.stdout))
                found[name] = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    report(pages, gold, runs, {name: quality(pages, gold, rows) for name, rows in found.items()})


def articles(dump: Path) -> Iterator[Page]:
    """The articles of a dump, redirects left out."""
    with open_input(str(dump)) as head, open_input(str(dump)) as stream:
        lang = re.match(r"[a-z]+(?=wiki-)", dump.name)
        site = read_site(head, lang=lang[0] if lang and lang[0] != "tinywiki" else "en")
        for page in read_pages(stream, where=str(dump)):
            if page.ns == 0 and site.redirect_target(page.wikitext) is None:
                yield a_page(page.title, page.wikitext, site, dump.name)


def archived(archive: Path) -> Iterator[Page]:
    """The files of an archive, but one that is XML."""
    site = Site.of("en", names={"Portal": 100, "Datei": 6})  # some pages are German
    with tarfile.open(archive) as members:
        for member in sorted(members.getmembers(), key=lambda member: member.name):
            stream = members.extractfile(member) if member.name.endswith(".txt") else None
            if stream and Path(member.name).stem != "anarchism":
                text = stream.read().decode("utf-8", "replace")
                yield a_page(Path(member.name).stem, text, site, archive.name)


def a_page(title: str, wikitext: str, site: Site, source: str) -> Page:
    """A page for the contenders; `media` are the prefixes of links that show nothing in prose."""
    media = sorted(f"{name}:" for name, number in site.namespaces.items() if number in (6, 14))
    names = {"title": title, "source": source, "wikitext": wikitext}
    return {**names, "site": site.to_dict(), "media": media, "timed": True}


def tree_of(wikitext: str) -> Any:
    """The tree of a page without apostrophes and without the indents of its tables."""
    return mwparserfromhell.parse(_INDENTED_TABLE.sub("\n", _APOSTROPHES.sub("", wikitext)))


class Gold:
    """What the tree says of a page: targets of the links in prose, and templates with what they carry."""

    def __init__(self, page: Page) -> None:
        self.site = Site.from_dict(page["site"])
        self.links: Counter[str] = Counter()
        self.templates: list[tuple[str, str]] = []
        self._walk(tree_of(page["wikitext"]))

    def _walk(self, code: Any) -> None:
        for node in code.nodes:
            if isinstance(node, Wikilink):
                if title := self.site.article(str(node.title)):
                    self.links[title] += 1
            elif isinstance(node, Template):
                self._template(node)
            elif isinstance(node, Tag):
                tag = str(node.tag).strip().lower()
                if tag not in NOT_PROSE and node.contents is not None:
                    self._walk(node.contents)
            elif isinstance(node, ExternalLink | Heading) and node.title is not None:
                self._walk(node.title)

    def _template(self, node: Template) -> None:
        name, _, argument = str(node.name).strip().lower().partition(":")
        place = CARRIED.get(name.replace("_", " "), 1 if name.startswith("lang-") else 0)
        if argument or (place and node.has(str(place))):
            carried = mwparserfromhell.parse(argument or str(node.get(str(place)).value))
            if (place or name == "formatnum") and (text := carried.strip_code().strip()):
                self.templates.append((str(node), text))


def quality(pages: list[Page], gold: list[Gold], rows: list[dict[str, Any]]) -> dict[str, float]:
    """Measures of one contender's output."""
    right = found = wanted = leftovers = characters = spans = 0
    for seen, row in zip(gold, rows, strict=False):
        titles = Counter(filter(None, (seen.site.article(target) for _, _, target in row["links"])))
        right += (titles & seen.links).total()
        found += titles.total()
        wanted += seen.links.total()
        leftovers += len(LEFTOVER.findall(row["text"]))
        characters += len(row["text"])
        spans += sum(start >= 0 for start, _, _ in row["links"])
    carried = [text for seen in gold for _, text in seen.templates]
    kept = sum(text in row["text"] for text, row in zip(carried, rows[len(pages) :], strict=True))
    return {
        "recall": right / wanted,
        "precision": right / found,
        "leftovers_per_million": leftovers / characters * 1e6,
        "templates": len(carried),
        "templates_kept": kept / len(carried),
        "characters": characters,
        "spans": spans,
    }


def report(
    pages: list[Page],
    gold: list[Gold],
    runs: Mapping[str, list[dict[str, float]]],
    measured: dict[str, dict[str, float]],
) -> None:
    """The runs as JSON, and their medians as a Markdown table."""
    size = sum(len(page["wikitext"].encode()) for page in pages)
    cpu = {name: statistics.median(run["cpu"] for run in taken) for name, taken in runs.items()}
    links = sum(seen.links.total() for seen in gold)
    lines = [
        "# Extraction: text and links of wikitext",
        "",
        f"{len(pages)} pages, {size / 1e6:.1f} MB of wikitext, {measured[OURS]['templates']:,} templates that"
        f" carry text; {links:,} links in prose; one core, medians of {len(runs[OURS])} interleaved rounds.",
        "",
        "| tool | MB a CPU second | ours is faster by | goal | slowest page, s | link recall | precision"
        " | leftovers a million characters | templates' text kept |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in measured.items():
        ratio, slowest = cpu[name] / cpu[OURS], max(run["slowest"] for run in runs[name])
        cells = [f"{size / cpu[name] / 1e6:.1f}", f"{ratio:.1f}", str(GOALS.get(name, "")), f"{slowest:.3f}"]
        cells += [f"{row['recall']:.4f}", f"{row['precision']:.4f}", f"{row['leftovers_per_million']:.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['templates_kept']:.1%} |")
    shown = {
        "pages": len(pages),
        "bytes": size,
        "links": links,
        "python": platform.python_version(),
    }
    stem = HERE / "results" / "extraction"
    whole = json.dumps({**shown, "measured": measured, "runs": runs}, indent=1)
    stem.with_suffix(".json").write_text(whole + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
