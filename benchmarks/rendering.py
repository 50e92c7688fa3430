"""Code-switched sentences per CPU second: whole records of ours beside plain Python and pyarrow, in one run.

    python benchmarks/rendering.py [--entities 100000] [--triples 20000] [--rounds 5]

The names are made up: ten languages, labels of about 18 characters, a third of them missing beside English,
one or two aliases. Every way writes the same number of sentences from the same triples; the rounds are
interleaved and the median CPU time is kept. Writes benchmarks/results/rendering.{json,md}.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.draws import hash64, mix64
from kgcorpus.contracts.splits import split_of_pair
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.records.kmlm import LINK, Item, render_sentences, with_split

RESULTS = Path(__file__).parent / "results"
LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
WORDS = {"ja": "名前の", "ko": "이름의", "zh": "名称之"}
RELATIONS = 800
BATCH = 10_000
GOAL = 3e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--triples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    tables = made_up_names("Q", arguments.entities, rng), made_up_names("P", RELATIONS, rng)
    names, relations = (LabelIndex.from_arrow(table, "id") for table in tables)
    batches = [
        made_up_triples(arguments.entities, min(BATCH, arguments.triples - first), rng)
        for first in range(0, arguments.triples, BATCH)
    ]
    # Plain Python is given its dictionaries ready made, and a tenth of the triples.
    columns = [{row["id"]: {n["lang"]: n for n in row["names"]} for row in t.to_pylist()} for t in tables]
    few = [batches[0].slice(0, max(1, arguments.triples // 10))]

    ways: dict[str, tuple[Callable[..., int], tuple[Any, ...]]] = {
        "kgcorpus, whole records": (ours, (batches, names, relations)),
        "pyarrow take and join, text alone": (pyarrow_join, (batches, names, relations)),
        "plain Python, text alone": (plain_text, (few, *columns)),
        "plain Python, whole records": (plain_records, (few, *columns)),
    }
    for way, given in ways.values():
        way(*given)  # compiles, and warms the caches
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, (way, given) in ways.items():
            started = time.process_time()
            sentences = way(*given)
            rates[name].append(sentences / (time.process_time() - started))
    report(rates, vars(arguments))


def made_up_names(letter: str, n: int, rng: np.random.Generator) -> pa.Table:
    """A table with the columns `id` and `names`."""
    known = rng.random((n, len(LANGUAGES))) < 2 / 3
    rows = []
    for i in range(n):
        names = []
        for place, lang in enumerate(LANGUAGES):
            if place == 0 or known[i, place]:
                word = WORDS.get(lang, f"{lang} name of")
                aliases = [f"{word} {k} {i}" for k in range(1 + i % 2)]
                names.append({"lang": lang, "label": f"{word} {letter} {i}", "aliases": aliases})
        rows.append({"id": f"{letter}{i * 7}", "names": names})
    return pa.Table.from_pylist(rows)


def made_up_triples(entities: int, n: int, rng: np.random.Generator) -> pa.RecordBatch:
    """Heads in order, as shards hold them; tails with hubs."""
    columns = {
        "h": ("Q", np.sort(rng.integers(0, entities, n))),
        "r": ("P", (RELATIONS * rng.random(n) ** 3).astype(np.int64)),
        "t": ("Q", (entities * rng.random(n) ** 3).astype(np.int64)),
    }
    batch = pa.record_batch({k: pa.array([f"{x}{i * 7}" for i in rows]) for k, (x, rows) in columns.items()})
    return with_split(batch, seed=0)


def ours(batches: list[pa.RecordBatch], names: LabelIndex, relations: LabelIndex) -> int:
    """All the columns of the table `code_switched`, and the split."""
    return sum(
        rows.num_rows
        for batch in batches
        for rows in code_switched_batches(
            batch, names=names, relations=relations, languages=LANGUAGES, seed=0, tally=Tally()
        )
    )


def pyarrow_join(batches: list[pa.RecordBatch], names: LabelIndex, relations: LabelIndex) -> int:
    """Texts of labels by pyarrow's kernels; flips by numpy; no aliases, slots, ids or splits."""
    written = 0
    rng = np.random.default_rng(0)
    link, period, nothing = (pa.scalar(text, pa.large_string()) for text in (LINK, ".", ""))
    for batch in batches:
        rows = [index.rows(batch.column(k)) for k, index in enumerate((names, relations, names))]
        for lang in LANGUAGES[1:]:
            for _ in range(2):
                items = []
                for row, index in zip(rows, (names, relations, names), strict=True):
                    in_base, in_lang = (
                        index.column(x).labels.take(pa.array(row)) for x in (LANGUAGES[0], lang)
                    )
                    heads = pa.array(rng.integers(0, 2, len(row)).astype(np.bool_))
                    items.append(pc.if_else(heads, pc.coalesce(in_lang, in_base), in_base))
                text = pc.binary_join_element_wise(*items, link)
                written += len(pc.binary_join_element_wise(text, period, nothing))
    return written


def plain_text(batches: list[pa.RecordBatch], names: dict[str, Any], relations: dict[str, Any]) -> int:
    """Texts of labels by dictionaries and an f-string."""
    written = []
    for row in (row for batch in batches for row in batch.to_pylist()):
        found = names[row["h"]], relations[row["r"]], names[row["t"]]
        key = hash64(0, row["h"], row["r"], row["t"])
        for number, lang in enumerate(LANGUAGES[1:]):
            for kind in range(2):
                bits = mix64(key ^ 2 * number + kind)
                h, r, t = (
                    (known.get(lang) if bits >> place & 1 else None) or known["en"]
                    for place, known in enumerate(found)
                )
                written.append(f"{h['label']}{LINK}{r['label']}{LINK}{t['label']}.")
    return len(written)


def plain_records(batches: list[pa.RecordBatch], names: dict[str, Any], relations: dict[str, Any]) -> int:
    """Rows as dictionaries with slots and split, then one Arrow batch of each thousand."""
    rows: list[dict[str, Any]] = []
    written = 0
    for triple in (row for batch in batches for row in batch.to_pylist()):
        found = names[triple["h"]], relations[triple["r"]], names[triple["t"]]
        key = hash64(0, *triple.values())
        for number, lang in enumerate(LANGUAGES[1:]):
            bits = mix64(key ^ number)
            for kind, field in (("code_switched", "label"), ("alias", "aliases")):
                items = []
                for place, (ident, known) in enumerate(zip(triple.values(), found, strict=True)):
                    name = (known.get(lang) if bits >> place & 1 else None) or known["en"]
                    text = name[field] if kind == "code_switched" else name[field][bits % len(name[field])]
                    items.append(Item(text, ident, name["lang"]))
                text, slots = render_sentences([(items[0], items[1], items[2])])
                split = split_of_pair(0, triple["h"], triple["t"])
                made = {"id": f"{kind}:{lang}:{key:016x}", "lang": lang, "kind": kind, "text": text}
                rows.append({**made, "triples": [triple], "slots": slots, "split": split})
        if len(rows) >= 1000:
            written += pa.RecordBatch.from_pylist(rows).num_rows
            rows = []
    return written + pa.RecordBatch.from_pylist(rows).num_rows if rows else written


def report(rates: dict[str, list[float]], arguments: dict[str, int]) -> None:
    medians = {name: statistics.median(found) for name, found in rates.items()}
    first = next(iter(medians.values()))
    rows = [f"| {name} | {rate / 1e6:.2f} | {first / rate:.1f} |" for name, rate in medians.items()]
    found = {
        "arguments": arguments,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "sentences_per_cpu_second": {name: round(rate) for name, rate in medians.items()},
        "rounds": {name: [round(rate) for rate in found] for name, found in rates.items()},
        "goal": GOAL,
        "goal_reached": first >= GOAL,
    }
    text = "\n".join(
        [
            "# Code-switched sentences per CPU second",
            "",
            f"`python benchmarks/rendering.py` with {arguments}; the median of the rounds, interleaved.",
            "",
            "| way | million a CPU second | ours is faster by |",
            "|---|---|---|",
            *rows,
            "",
            f"Goal {GOAL / 1e6:.0f} million: {'reached' if first >= GOAL else 'not reached'}.",
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "rendering.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "rendering.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
