"""The stage `cycles` on the generated graph, whole: triangles, capped diamonds, cap on combinations, shards.

    python benchmarks/mining.py --scale 1 --colours 1 3

Spark runs on two cores, from shards of triples as ids to shards of cycles, with the default caps. CPU time is
that of the JVM and its workers, read twice a second; the peak of memory is of all of them together, what they
map in common counted once. Writes benchmarks/results/mining-TRIPLES.{json,md}.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from graph_generator import Generator, ids_of
from processes import memory_mib, tree, tree_seconds

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


class Watch(threading.Thread):
    """Watches this process and its children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mib, self.seconds = 0, 0.0
        self._before, self._ended = tree_seconds(), threading.Event()

    def run(self) -> None:
        """Look until `end`."""
        while not self._ended.wait(0.5):
            self.seconds = max(self.seconds, tree_seconds() - self._before)
            self.peak_mib = max(self.peak_mib, sum(map(memory_mib, tree())))

    def end(self) -> dict[str, float]:
        """What was seen."""
        self._ended.set()
        self.join()
        return {"cpu_seconds": round(self.seconds, 1), "peak_mib": self.peak_mib}


def mine(session: Any, shards: list[str], folder: Path, colours: int) -> dict[str, Any]:
    """One run of the stage."""
    from kgcorpus.config import BuildConfig
    from kgcorpus.contracts.tables import table
    from pipelines.context import Context
    from pipelines.cycles import STAGE
    from pipelines.scratch import LocalScratch
    from pipelines.shard_folders import read_counters
    from pipelines.writer import write_shards

    context = Context(
        spark=session,
        seed=0,
        config=BuildConfig(),
        inputs={"triples": shards},
        sources=(),
        partitions=2,
        graph_parts=colours,
        scratch=LocalScratch(folder / "scratch"),
        on_bad_input="fail",
    )
    folder.mkdir()
    watch, started = Watch(), time.perf_counter()
    watch.start()
    write_shards(
        STAGE.run(context),
        table("cycles"),
        folder,
        shards={"part": 4},
        seed=0,
        partitions=2,
        quarantine=folder / "bad.jsonl",
    )
    run = {"colours": colours, "wall_seconds": round(time.perf_counter() - started, 1), **watch.end()}
    files = sorted(folder.glob("*.parquet"))
    counters: dict[str, int] = {}
    for path in files:
        for name, n in read_counters(path).items():
            counters[name] = counters.get(name, 0) + n
    return {
        **run,
        "scratch_mib": sum(path.stat().st_size for path in folder.rglob("*.npy")) >> 20,
        "sha256": hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest(),
        "counters": {name: n for name, n in sorted(counters.items()) if ".relation." not in name},
    }


def main() -> None:
    """Read the command line, mine, write JSON and a table."""
    from kgcorpus.config import SparkConfig
    from pipelines.session import create_session

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 20.6M triples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--colours", type=int, nargs="+", default=[1, 3])
    args = parser.parse_args()
    generator = Generator(scale=args.scale, seed=args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shards: list[str] = []
        for chunk in generator.chunks():
            shards.append(str(folder / f"{len(shards)}.parquet"))
            columns = [ids_of(numbers, letter) for numbers, letter in zip(chunk, "QPQ", strict=True)]
            pq.write_table(pa.table(columns, names=list("hrt")), shards[-1])
        session = create_session(SparkConfig(master="local[2]", memory="1g"), log=folder / "spark.log")
        runs = [mine(session, shards, folder / str(colours), colours) for colours in args.colours]
        session.stop()
    write(generator, runs)


def write(generator: Generator, runs: list[dict[str, Any]]) -> None:
    """The runs as JSON and as a table."""
    counts = runs[0]["counters"]
    same = "yes" if len({run["sha256"] for run in runs}) == 1 else "NO"
    lines = [
        f"# Cycles of {generator.triples:,} triples, through Spark",
        "",
        f"`python benchmarks/mining.py` on two shared cores, with the default caps:"
        f" {counts['count.length3']:,} triangles, {counts['count.length4_diamonds']:,} diamonds;"
        f" kept {counts['count.kept3']:,} and {counts['count.kept4']:,} versions."
        f" The same bytes from every number of colours: {same}.",
        "",
        "| colours | CPU s | wall s | peak MiB, JVM and workers | bytes of memory a triple | scratch MiB |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        cells = run["colours"], run["cpu_seconds"], run["wall_seconds"], f"{run['peak_mib']:,}"
        share = round(run["peak_mib"] * 2**20 / generator.triples)
        lines.append(f"| {' | '.join(map(str, cells))} | {share} | {run['scratch_mib']:,} |")
    stem = HERE / "results" / f"mining-{generator.triples // 1000}k"
    whole = {"triples": generator.triples, "entities": generator.entities, "runs": runs}
    stem.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
