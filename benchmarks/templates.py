"""Templates whose text a reader sees in a sentence: the share that is rendered, before a change and now.

    python benchmarks/templates.py --before FOLDER --dump DUMP... [--pages ARCHIVE]

FOLDER holds an earlier version of the package; a dump's name begins with its language. A use counts if its
line has a letter or digit beside it, and it is outside references, tables and other templates; uses of
templates that show only a mark, a note, a pronunciation or a picture there (`SILENT`) do not count, and those
that compute their text from data on other pages are counted apart. It is rendered if `x {{template}} y` keeps
a text between x and y. Writes benchmarks/results/templates.{json,md}.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import islice
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
# Further names, by language and for all (`*`): a language, a tab and a pattern a line.
FURTHER_SILENT = HERE / "gold" / "silent-templates.tsv"
# Their text is computed from data on other pages; counted apart.
ELSEWHERE = re.compile(r".*(?:自治体人口|自治体面積|郡データ換算|inflation|un population|#expr:|#invoke:).*")
DATA = "(data on other pages)"
# These show a space, so that nothing is between x and y.
SPACES = frozenset({"nbsp", "0", "space", "thinsp", "hair space"})
_WORD = re.compile(r"\w")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="folder that holds the earlier package `kgcorpus`")
    parser.add_argument("--dump", type=Path, nargs="+", required=True)
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--most", type=int, help="pages of each dump")
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


def counts(arguments: argparse.Namespace) -> dict[str, dict[str, list[int]]]:
    """Language -> name -> uses, and uses that are rendered."""
    from kgcorpus.wiki.site import Site
    from kgcorpus.wiki.wikitext import parse

    pages = [page for dump in arguments.dump for page in islice(articles(dump), arguments.most)]
    pages += archived(arguments.pages) if arguments.pages else []
    uses: dict[str, Counter[str]] = defaultdict(Counter)
    rendered: Counter[tuple[str, str]] = Counter()
    known = {field.name for field in fields(Site)}
    for page in pages:
        lang = language(page)
        there = silent(lang)
        kept = {key: value for key, value in page["site"].items() if key in known}
        site = Site.from_dict({**kept, "lang": lang})
        for written, template in in_sentences(mwparserfromhell.parse(page["wikitext"])):
            name = DATA if ELSEWHERE.fullmatch(written) else written
            if not there.fullmatch(name):
                uses[lang][name] += 1
                shown = name in SPACES or parse(f"x {template} y", site).text != "x y"
                rendered[lang, name] += shown
    return {
        lang: {name: [n, rendered[lang, name]] for name, n in sorted(found.items(), key=_by_count)}
        for lang, found in sorted(uses.items())
    }


@cache
def silent(lang: str) -> re.Pattern[str]:
    """Names of templates that show no text of a sentence in this language."""
    rows = (line.split("\t") for line in FURTHER_SILENT.read_text(encoding="utf-8").splitlines())
    return re.compile("|".join([SILENT.pattern, *(pattern for code, pattern in rows if code in ("*", lang))]))


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


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
            if beside and "\n" not in str(node):
                yield name, str(node)
        elif isinstance(node, Tag) and str(node.tag).strip().lower() not in NOT_PROSE:
            yield from in_sentences(node.contents) if node.contents is not None else ()


def report(names: dict[str, dict[str, dict[str, list[int]]]]) -> None:
    """The counts as JSON, and the shares and the names that are still dropped as Markdown."""
    lines = [
        "# Templates: text in sentences",
        "",
        f"| language | uses | data elsewhere | {' | '.join(names)} | still dropped |",
        "|---|---|---|" + "---|" * (len(names) + 1),
    ]
    elsewhere = {
        version: {lang: found.pop(DATA, [0, 0])[0] for lang, found in counted.items()}
        for version, counted in names.items()
    }
    for lang, found in names["now"].items():
        shares = [f"{share(version[lang]):.1%}" if lang in version else "" for version in names.values()]
        dropped = sorted(((n - m, name) for name, (n, m) in found.items() if m < n), reverse=True)
        listed = ", ".join(f"{name} {n}" for n, name in dropped[:12])
        uses = sum(n for n, _ in found.values())
        cells = [lang, str(uses), str(elsewhere["now"][lang]), *shares, listed.replace("|", "/")]
        lines.append(f"| {' | '.join(cells)} |")
    stem = HERE / "results" / "templates"
    stem.with_suffix(".json").write_text(
        json.dumps(names, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def share(found: dict[str, list[int]]) -> float:
    """Of uses that are rendered."""
    return sum(m for _, m in found.values()) / max(1, sum(n for n, _ in found.values()))


if __name__ == "__main__":
    main()
