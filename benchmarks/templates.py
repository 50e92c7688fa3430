"""Templates whose text a reader sees in a sentence: the share that is rendered, before a change and now.

    python benchmarks/templates.py --before FOLDER --dump DUMP... [--pages ARCHIVE]

FOLDER holds an earlier version of the package. A use counts if its line has a letter or digit beside it, and
it is outside references, tables and other templates; uses of templates that show only a mark, a note, a
pronunciation or a picture there (`SILENT`) do not count. It is rendered if `x {{template}} y` keeps a text
between x and y. Writes benchmarks/results/templates.{json,md}.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mwparserfromhell
from extraction import HERE, archived, articles
from extraction_contenders import NOT_PROSE
from mwparserfromhell.nodes import Tag, Template

SILENT = re.compile(
    r"(?:ipa|ipac|pron|cite|lang-ipa)[ -].*|ipa|ipaslink|respell|rp|sfnp?|r|refn|efn|#tag:.*|citation"
    r"|citation needed"
    r"|page needed|fact|cn|when|who|where|by whom|clarify|dubious|main( article)?|see also|clear|anchor|coord"
    r"|failed verification|better source|unreliable source\?|relevance inline|request quotation|update.*"
    r"|dead link|wayback|flagicon|portal|reflist|increase|bartable|nowrap (?:begin|end)|fs .*|z148|spaces"
    r"|sister project links|official website|wikipedia books|politics of .*|google buch|baseballstats"
    r"|columns-list|elena paparizou|antique duo|.* icon|refimprove.*|citation needed span|stub|commons.*"
)
_WORD = re.compile(r"\w")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="folder that holds the earlier package `kgcorpus`")
    parser.add_argument("--dump", type=Path, nargs="+", required=True)
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--only-print", action="store_true", help="print the counts of this version as JSON")
    arguments = parser.parse_args()
    now = counts(arguments)
    if arguments.only_print:
        json.dump(now, sys.stdout)
        return
    names = {"now": now}
    if arguments.before:
        command = [sys.executable, *sys.argv, "--only-print"]
        environment = {**os.environ, "PYTHONPATH": str(arguments.before)}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        names["before"] = json.loads(done.stdout)
    report(names)


def counts(arguments: argparse.Namespace) -> dict[str, list[int]]:
    """Name -> uses, and uses that are rendered."""
    from kgcorpus.wiki.site import Site
    from kgcorpus.wiki.wikitext import parse

    pages = [page for dump in arguments.dump for page in articles(dump)]
    pages += archived(arguments.pages) if arguments.pages else []
    uses: Counter[str] = Counter()
    rendered: Counter[str] = Counter()
    for page in pages:
        site = Site.from_dict({**page["site"], "lang": language(page)})
        for name, template in in_sentences(mwparserfromhell.parse(page["wikitext"])):
            uses[name] += 1
            rendered[name] += parse(f"x {template} y", site).text != "x y"
    return {
        name: [n, rendered[name]] for name, n in sorted(uses.items(), key=lambda item: (-item[1], item[0]))
    }


def language(page: dict[str, Any]) -> str:
    """Some pages of the archive are German."""
    german = page["site"]["lang"] == "en" and "[[Kategorie:" in page["wikitext"]
    return "de" if german else str(page["site"]["lang"])


def in_sentences(code: Any) -> Iterator[tuple[str, str]]:
    """(name, template) of those in lines of other text."""
    nodes = code.nodes
    for at, node in enumerate(nodes):
        if isinstance(node, Template):
            before = str(nodes[at - 1]).rpartition("\n")[2] if at else ""
            after = str(nodes[at + 1]).partition("\n")[0] if at + 1 < len(nodes) else ""
            name = " ".join(str(node.name).replace("_", " ").split()).lower()
            beside = _WORD.search(before[-40:]) or _WORD.search(after[:40])
            if beside and "\n" not in str(node) and not SILENT.fullmatch(name):
                yield name, str(node)
        elif isinstance(node, Tag) and str(node.tag).strip().lower() not in NOT_PROSE:
            yield from in_sentences(node.contents) if node.contents is not None else ()


def report(names: dict[str, dict[str, list[int]]]) -> None:
    """The counts as JSON, and the totals and the names that are still dropped as Markdown."""
    lines = [
        "# Templates: text in sentences",
        "",
        "| version | uses | rendered | share |",
        "|---|---|---|---|",
    ]
    for version, found in sorted(names.items()):
        uses, rendered = (sum(pair[n] for pair in found.values()) for n in (0, 1))
        lines.append(f"| {version} | {uses} | {rendered} | {rendered / uses:.1%} |")
    dropped = [(n - m, name) for name, (n, m) in names["now"].items() if m < n]
    listed = ", ".join(f"{name} {n}" for n, name in sorted(dropped, key=lambda pair: (-pair[0], pair[1])))
    lines += ["", f"Still dropped: {listed or 'none'}."]
    stem = HERE / "results" / "templates"
    stem.with_suffix(".json").write_text(
        json.dumps(names, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
