"""What 247M code-switched sentences cost, projected from a million and checked by 20 million.

    python benchmarks/rendering_scale.py

Records are rendered as in `rendering.py`, and written to one Parquet file as the stage writes them, which is
mixed, for shards are sorted by hash. CPU seconds of both, the bytes on disk and the process's peak of memory
are measured for each size, each in its own process. The projection is linear in sentences.
Writes benchmarks/results/rendering-scale.{json,md}.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rendering import BATCH, LANGUAGES, RELATIONS, RESULTS, made_up_names, made_up_triples

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from pipelines.writer import ROW_GROUP

PAPER = 247_000_000
MEASURES = ("render_cpu_seconds", "write_cpu_seconds", "bytes")


def render_sentences(sentences: int, entities: int) -> dict[str, Any]:
    """Render and write about so many sentences."""
    rng = np.random.default_rng(0)
    tables = made_up_names("Q", entities, rng), made_up_names("P", RELATIONS, rng)
    names, relations = (LabelIndex.from_arrow(table, "id") for table in tables)
    del tables
    given: dict[str, Any] = {
        "names": names,
        "relations": relations,
        "languages": LANGUAGES,
        "seed": 0,
        "tally": Tally(),
    }
    for _ in code_switched_batches(made_up_triples(1, 1, rng), **given):
        pass  # loads the compiled code
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    render = write = 0.0
    written, writer = 0, None
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "code_switched.parquet"
        while written < sentences:
            triples = made_up_triples(entities, BATCH, rng)
            started = time.process_time()
            rows = list(code_switched_batches(triples, **given))
            render += time.process_time() - started
            started = time.process_time()
            writer = writer or pq.ParquetWriter(path, rows[0].schema, compression="zstd", compression_level=3)
            table = pa.Table.from_batches(rows)
            writer.write_table(table.take(rng.permutation(len(table))), row_group_size=ROW_GROUP)
            written += len(table)
            write += time.process_time() - started
        if writer:
            writer.close()
        size = path.stat().st_size
    return {
        "sentences": written,
        **dict(zip(MEASURES, (render, write, size), strict=True)),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "names_mib": before,
    }


def main() -> None:
    """Read the command line, run both sizes, project and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--sizes", type=int, nargs=2, default=[1_000_000, 20_000_000])
    args = parser.parse_args()
    render_sentences(1, 100)  # compiles, so that the children need not
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        small, large = pool.starmap(
            render_sentences, [(size, args.entities) for size in args.sizes], chunksize=1
        )
    scaled = {name: small[name] * large["sentences"] / small["sentences"] for name in MEASURES}
    error = {name: large[name] / scaled[name] - 1 for name in MEASURES}
    whole = {name: large[name] * PAPER / large["sentences"] for name in MEASURES}
    lines = [
        "# The cost of 247M code-switched sentences",
        "",
        f"`python benchmarks/rendering_scale.py`, names of {args.entities:,} entities in ten languages.",
        "",
        "| sentences | rendering, CPU s | writing, CPU s | GB on disk | peak MiB | of it before the start |",
        "|---|---|---|---|---|---|",
        *(
            f"| {run['sentences']:,} | {cells_of(run)} | {run['peak_mib']:,} | {run['names_mib']:,} |"
            for run in (small, large)
        ),
        f"| {PAPER:,}, projected from the second row | {cells_of(whole)} | | |",
        "",
        "The second row is above what the first one projects by "
        + ", ".join(f"{value:+.1%} ({name.replace('_', ' ')})" for name, value in error.items())
        + ".",
    ]
    found = {"entities": args.entities, "runs": [small, large], "error": error, "projected": whole}
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / "rendering-scale"
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def cells_of(run: dict[str, Any]) -> str:
    """The measures as a table's cells."""
    render, write, size = (run[name] for name in MEASURES)
    return f"{render:,.1f} | {write:,.1f} | {size / 1e9:.2f}"


if __name__ == "__main__":
    main()
