"""Rows a second of the trainer's reader beside `datasets` streaming, from the same token files, in one run.

    python benchmarks/reader.py [--rows 100000] [--rounds 5]

The token files are made up: row groups of 10,000 rows as `kgcorpus.tokens` writes them, lengths of 8 tokens
plus an exponential of mean 23, at most 128. Every way hands out each row's ids; the rounds are interleaved
and the median is kept, of wall and of CPU time. Ours draws a whole row group's order; `datasets` shuffles
with a buffer. Writes benchmarks/results/reader.{json,md}.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RESULTS = Path(__file__).parent / "results"
FILES, GROUP, TAKEN, LENGTH, VOCABULARY = 4, 10_000, 1024, 128, 30_000
GOAL = 10.0
THEIRS = "datasets, streaming"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_HOME"] = folder
        files = make_files(Path(folder), arguments.rows)
        ways: dict[str, Callable[[], Iterable[Any]]] = {
            "kgcorpus": lambda: ours(files, arguments.rows),
            "kgcorpus, packed by best fit": lambda: packed(files, arguments.rows),
            THEIRS: lambda: theirs(files),
            "datasets, streaming, NumPy": lambda: (row["ids"] for row in hf(files).with_format("numpy")),
            "datasets, streaming, NumPy, batches of 1,024": lambda: batched(files),
            "datasets, streaming, shuffled": lambda: theirs(files, shuffled=True),
        }
        rates: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for way in ways.values():
            next(iter(way()))  # imports
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), time.process_time()
                tokens = sum(map(len, way()))
                seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
                rates[name].append({key: arguments.rows / spent for key, spent in seconds.items()})
                assert tokens == expected_tokens(files), name
    report(rates, vars(arguments))


def make_files(folder: Path, rows: int) -> list[Path]:
    """Token files of plain text."""
    rng = np.random.default_rng(0)
    files = []
    for number, part in enumerate(np.array_split(np.arange(rows), FILES)):
        sizes = np.minimum(LENGTH, 8 + rng.exponential(23, len(part))).astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        ids = rng.integers(0, VOCABULARY, sizes.sum()).astype(np.int32)
        table = {
            "id": pa.array([f"{i:08x}" for i in part]),
            "lang": pa.array(["en"] * len(part)),
            "ids": pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids)),
            "tokens": pa.array(sizes),
            "length": pa.array(np.full(len(part), LENGTH, np.int32)),
        }
        files.append(folder / f"train-{number:05d}-of-{FILES:05d}.parquet")
        pq.write_table(pa.table(table), files[-1], row_group_size=GROUP, compression="zstd")
    return files


def expected_tokens(files: list[Path]) -> int:
    return sum(int(pq.read_table(file, columns=["tokens"])["tokens"].to_numpy().sum()) for file in files)


def ours(files: list[Path], rows: int) -> Iterable[Any]:
    """One epoch in the drawn order, 1,024 records at a time, as a training step asks for them."""
    from trainer.shards import ShardStream

    stream: ShardStream[Any] = ShardStream(files, name="plain", seed=0, max_length=LENGTH)
    for first in range(0, rows, TAKEN):
        yield from (record.ids for record in stream.take(min(TAKEN, rows - first)))


def packed(files: list[Path], rows: int) -> Iterable[Any]:
    """The same, and packed into rows of 128; what is counted are the records' tokens."""
    from trainer.packing import pack
    from trainer.shards import ShardStream

    stream: ShardStream[Any] = ShardStream(files, name="plain", seed=0, max_length=LENGTH)
    for first in range(0, rows, TAKEN):
        ids = [record.ids for record in stream.take(min(TAKEN, rows - first))]
        sizes = np.array([len(x) for x in ids], np.int64)
        yield pack(np.concatenate(ids), sizes, length=LENGTH, pad=0).flat


def hf(files: list[Path]) -> Any:
    from datasets import load_dataset

    return load_dataset("parquet", data_files=[str(file) for file in files], split="train", streaming=True)


def theirs(files: list[Path], *, shuffled: bool = False) -> Iterable[Any]:
    """Rows as dictionaries, its default."""
    rows = hf(files).shuffle(seed=0, buffer_size=GROUP) if shuffled else hf(files)
    return (row["ids"] for row in rows)


def batched(files: list[Path]) -> Iterable[Any]:
    """Rows of batches; its quickest way that still gives every row as an array."""
    for batch in hf(files).with_format("numpy").iter(batch_size=TAKEN):
        yield from batch["ids"]


def report(rates: dict[str, list[dict[str, float]]], arguments: dict[str, int]) -> None:
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu")}
        for name, runs in rates.items()
    }
    pairs = zip(rates["kgcorpus"], rates[THEIRS], strict=True)
    ratio = statistics.median(own["wall"] / other["wall"] for own, other in pairs)
    found = {
        "arguments": arguments,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: __import__(name).__version__ for name in ("pyarrow", "numpy", "datasets")},
        "rows_per_second": {name: {k: round(v) for k, v in m.items()} for name, m in medians.items()},
        "rounds": rates,
        "ratio": ratio,
        "goal": GOAL,
        "goal_reached": ratio >= GOAL,
    }
    text = "\n".join(
        [
            "# Rows a second from pre-tokenised files",
            "",
            f"`python benchmarks/reader.py` with {arguments}; medians of interleaved rounds, one process.",
            "",
            "| way | rows a second | rows a CPU second |",
            "|---|---|---|",
            *(f"| {name} | {m['wall']:,.0f} | {m['cpu']:,.0f} |" for name, m in medians.items()),
            "",
            f"kgcorpus against {THEIRS}: {ratio:.1f}x (median of the rounds' ratios, wall time). "
            f"Goal {GOAL:.0f}x: {'reached' if ratio >= GOAL else 'not reached'}.",
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reader.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "reader.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
