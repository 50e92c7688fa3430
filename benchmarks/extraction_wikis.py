"""Links of wikis that the extraction benchmark does not hold: recall, precision and leftovers by wiki.

    python benchmarks/extraction_wikis.py DUMP... [--most 150]

The first pages of each dump; a dump's name begins with its language. The gold is that of `extraction.py`, but
for two things. Links inside templates that wrap prose (`WRAPS`) count neither for nor against precision: the
tree does not say which templates show their text. Pages count only if the tree takes no parameter of a
template for prose, and no bracket that is not closed for a link. Writes
benchmarks/results/extraction-wikis.{json,md}.
"""

import argparse
import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from extraction import HERE, LEFTOVER, Gold, articles, tree_of
from mwparserfromhell.nodes import Text, Wikilink

from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import parse

WRAPS = re.compile(
    r"(?:block|c|b|pull )?quot(?:e|ation)|lang(?:-.*|ue)?|small(?:er)?|nowrap|nobr|quote box|center"
    r"|.*範囲|読み仮名|仮リンク|ilq|数式番号|補助漢字フォント"
    r"|(?:lời )?trích dẫn|цитата|не перекладено|нп|iw|քաղվածք|ն|հատված|উক্তি|απόσπασμα|παράθεμα"
)
_PARAMETER = re.compile(r"\n\s*\|[^\n|=\[\]{}]{1,40}=")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dumps", type=Path, nargs="+", help="pages-articles XML")
    parser.add_argument("--most", type=int, default=150, help="pages of each dump")
    arguments = parser.parse_args()
    rows = {dump.name.partition("wiki")[0]: measured(dump, arguments.most) for dump in arguments.dumps}
    lines = [
        "# Extraction: links of further wikis",
        "",
        f"The first {arguments.most} articles of public samples of dumps.",
        "",
        "| wiki | pages | MB | counted pages | links | recall | precision | leftovers a million characters |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for lang, row in rows.items():
        recall, precision = row["right"] / row["wanted"], row["right"] / row["found"]
        cells = [
            lang,
            str(row["pages"]),
            f"{row['bytes'] / 1e6:.1f}",
            str(row["counted"]),
            f"{row['wanted']:,}",
        ]
        cells += [f"{recall:.4f}", f"{precision:.4f}", f"{row['leftovers'] / row['characters'] * 1e6:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    stem = HERE / "results" / "extraction-wikis"
    stem.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def measured(dump: Path, most: int) -> Counter[str]:
    """Sums over the first articles of a dump."""
    total: Counter[str] = Counter()
    for page in islice(articles(dump), most):
        site = Site.from_dict(page["site"])
        article = parse(page["wikitext"], site)
        total["pages"] += 1
        total["bytes"] += len(page["wikitext"].encode())
        total["leftovers"] += len(LEFTOVER.findall(article.text))
        total["characters"] += len(article.text)
        gold = Gold(page)
        tree = tree_of(page["wikitext"])
        if is_misread(tree):
            continue
        found = Counter(link.target for link in article.links)
        neutral = (found - gold.links) & wrapped(tree, site)
        total["counted"] += 1
        total["right"] += (found & gold.links).total()
        total["found"] += (found - neutral).total()
        total["wanted"] += gold.links.total()
    return total


def is_misread(tree: Any) -> bool:
    """Whether the tree takes parameters of a template for prose, or an open bracket for a link."""
    return any(
        (isinstance(node, Text) and _PARAMETER.search(str(node)))
        or (isinstance(node, Wikilink) and "\n\n" in str(node) and "[[" in str(node.text))
        for node in tree.nodes
    )


def wrapped(tree: Any, site: Site) -> Counter[str]:
    """Titles of the links inside templates that wrap prose."""
    titles: Counter[str] = Counter()
    for template in tree.filter_templates():
        if WRAPS.fullmatch(str(template.name).strip().lower()):
            for parameter in template.params:
                links = parameter.value.filter_wikilinks()
                titles.update(filter(None, (site.article(str(link.title)) for link in links)))
    return titles


if __name__ == "__main__":
    main()
