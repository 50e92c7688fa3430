"""Which entity a name in a snippet means: the linker's choice beside the commonest meaning.

    python benchmarks/linking_ambiguous.py --corpus OUT --data wikidata-disambig-*.json

The data are those of Cetoli et al. (2018): snippets of Wikipedia, each with a name, the entity meant and a
wrong one. The first place of the name is given. A case counts as reachable if the entity meant is a
meaning of the name in the dictionary, and as ambiguous if the name has several meanings there. Writes
benchmarks/results/linking-ambiguous.{json,md}.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import resampled_pages, share
from kgcorpus.linking.targets import page_title

RESULTS = Path(__file__).parent / "results"


class Case(NamedTuple):
    """A case's answers: is each right?"""

    linker: bool
    without_votes: bool
    commonest: bool
    reachable: bool
    ambiguous: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    linker = Linker.open(arguments.corpus, "en")
    without = Linker.open(arguments.corpus, "en", overrides=["linking.vote_weight=0.000001"])
    rows = [row for path in arguments.data for row in json.loads(path.read_text(encoding="utf-8"))]
    found = [case for row in rows if (case := case_of(linker, without, row))]
    strata = {
        "all": found,
        "reachable": [case for case in found if case.reachable],
        "reachable, ambiguous": [case for case in found if case.reachable and case.ambiguous],
    }
    result = {"snippets": len(rows), "strata": {name: scores(cases) for name, cases in strata.items()}}
    report(result)


def case_of(linker: Linker, without: Linker, row: dict[str, Any]) -> Case | None:
    """The answers for one snippet; None if it does not contain the name."""
    text, name = row["text"], row["string"]
    start = text.lower().find(name.lower())
    if start < 0:
        return None
    span = (start, start + len(name))
    senses = [sense for sense in linker.senses_of(text[slice(*span)]) if page_title(sense) is None]
    chosen, by_prior = (answer(one, text, span) for one in (linker, without))
    gold = row["correct_id"]
    return Case(chosen == gold, by_prior == gold, senses[:1] == [gold], gold in senses, len(senses) > 1)


def answer(linker: Linker, text: str, span: tuple[int, int]) -> str | None:
    """The entity that the linker chooses at a given span."""
    (mention,) = linker.link_spans(text, [span], with_pages=False)
    return mention.entity if mention else None


def scores(cases: list[Case]) -> dict[str, Any]:
    """Accuracies and the difference of linker and commonest meaning, with 95 % intervals over snippets."""
    table = np.array(cases, np.float64).reshape(-1, len(Case._fields))
    each = np.arange(len(table))
    draws = resampled_pages(each, seed=0)
    columns = dict(zip(Case._fields, table.T, strict=True))
    columns["over_commonest"] = columns["linker"] - columns["commonest"]
    columns["votes"] = columns["linker"] - columns["without_votes"]
    return {name: share(values, each, draws) for name, values in columns.items()}


def report(result: dict[str, Any]) -> None:
    """As JSON, and as a Markdown table."""
    names = ("linker", "commonest", "over_commonest", "votes", "reachable")
    lines = ["# Linking: given names", "", "| cases | n | " + " | ".join(names).replace("_", " ") + " |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for stratum, row in result["strata"].items():
        cells = [
            f"{row[name]['mean']:.3f} [{row[name]['interval'][0]:.3f}, {row[name]['interval'][1]:.3f}]"
            for name in names
        ]
        lines.append(f"| {stratum} | {row['linker']['n']:,} | " + " | ".join(cells) + " |")
    (RESULTS / "linking-ambiguous.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "linking-ambiguous.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
