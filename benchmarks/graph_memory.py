"""The memory of mining a graph in parts.

    python benchmarks/graph_memory.py --scale 1 --colours 8 --limit-mib 1024

One process does what the tasks of the stage `cycles` do: it sorts the generated graph, cuts it up, and runs
every pass and unit one after another; rows are made and counted, not kept. With --limit-mib it runs in a
memory cgroup of that size (version 1, as root), so that the kernel ends it if it needs more; mapped files
count there until they are reclaimed. Its peak is that of memory that is not backed by files (RssAnon, looked
at twenty times a second). Writes benchmarks/results/graph-memory-TRIPLES.{json,md}.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup/memory")


def main() -> None:
    """Read the command line, write the shards, run the child, write JSON and a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from graph_generator import Generator, ids_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 20.6M triples")
    parser.add_argument("--colours", type=int, default=8)
    parser.add_argument("--limit-mib", type=int)
    args = parser.parse_args()
    generator = Generator(scale=args.scale, seed=0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, chunk in enumerate(generator.chunks()):
            columns = [ids_of(numbers, letter) for numbers, letter in zip(chunk, "QPQ", strict=True)]
            pq.write_table(pa.table(columns, names=list("hrt")), folder / f"{number:05}.parquet")
        command = [sys.executable, __file__, "child", str(folder), str(args.colours)]
        group = LimitedGroup(args.limit_mib) if args.limit_mib else None
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=group.enter if group else None
        )
    found = json.loads(done.stdout)
    found |= {"triples": generator.triples, "colours": args.colours, "limit_mib": args.limit_mib}
    if group:
        found["cgroup_peak_mib"] = group.end()
    write(found)


class LimitedGroup:
    """A memory cgroup below the one of this process."""

    def __init__(self, mib: int) -> None:
        self._folder = CGROUPS / f"graph-memory-{os.getpid()}"
        self._folder.mkdir()
        (self._folder / "memory.limit_in_bytes").write_text(str(mib << 20))

    def enter(self) -> None:
        """Move this process into it."""
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))

    def end(self) -> int:
        """Remove it; return its peak."""
        peak = int((self._folder / "memory.max_usage_in_bytes").read_text()) >> 20
        self._folder.rmdir()
        return peak


def child(folder: Path, colours: int) -> dict[str, Any]:
    """Mine the shards in the folder."""
    import pyarrow as pa

    from kgcorpus.config import BuildConfig
    from kgcorpus.contracts.shards import read_batches
    from kgcorpus.contracts.tally import Tally
    from kgcorpus.kg import cycles, mining
    from kgcorpus.kg.arrays import Folder
    from kgcorpus.kg.graph_writing import write_graph
    from pipelines.cycles import READ

    def triples() -> Iterator[pa.RecordBatch]:
        for path in sorted(folder.glob("*.parquet")):
            yield from read_batches(path, ["h", "r", "t"], rows=READ)

    caps = BuildConfig().cycles
    settings = mining.Settings(
        seed=0,
        dedup=caps.dedup,
        wings_per_edge=caps.wings_per_edge,
        pairs_per_edge=caps.pairs_per_edge,
        per_pair=caps.per_pair,
        per_combination=caps.per_combination,
        parts=colours,
    )
    arrays, tally = Folder(folder / "scratch"), Tally()
    peaks, steps = Peaks(), []

    def ended(name: str) -> None:
        steps.append({"step": name, **peaks.since_last()})
        print(steps[-1], file=sys.stderr, flush=True)

    ended("imports")
    write_graph(triples, arrays, Folder(folder / "sorted"), tally=tally)
    ended("sort the triples")
    mining.prepare(arrays, settings)
    ended("cut up and hash")
    miner, rows = mining.Miner(arrays, settings), 0
    for name, units in mining.passes(colours):
        for unit in units:
            miner.run(name, unit)
        ended(name)
    for unit in mining.cycle_units(colours):
        rows += sum(batch.num_rows for batch in cycles.emit(miner, unit, settings, tally=tally))
    ended("rows")
    size = sum(path.stat().st_size for path in (folder / "scratch").rglob("*.npy"))
    return {
        "steps": steps,
        "rows": rows,
        "entities": len(miner.graph.entity_ids),
        "scratch_mib": size >> 20,
        "counts": {name: n for name, n in sorted(tally.counts.items()) if not name.startswith("relation.")},
    }


class Peaks:
    """Watches this process's memory that is not backed by files."""

    def __init__(self) -> None:
        self._peak, self._cpu, self._wall = 0, time.process_time(), time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def since_last(self) -> dict[str, float]:
        """The peak, CPU and wall seconds since the last call."""
        self._look()
        found = {
            "peak_mib": self._peak,
            "cpu_seconds": round(time.process_time() - self._cpu, 1),
            "wall_seconds": round(time.monotonic() - self._wall, 1),
        }
        self._peak, self._cpu, self._wall = 0, time.process_time(), time.monotonic()
        return found

    def _look(self) -> None:
        status = Path("/proc/self/status").read_text()
        self._peak = max(self._peak, int(status.partition("RssAnon:")[2].split()[0]) >> 10)

    def _run(self) -> None:
        while True:
            self._look()
            time.sleep(0.05)


def write(found: dict[str, Any]) -> None:
    """The run as JSON and as a table."""
    limit = f" --limit-mib {found['limit_mib']}" if found["limit_mib"] else ""
    lines = [
        f"# Memory of mining {found['triples']:,} triples in parts",
        "",
        f"`python benchmarks/graph_memory.py --colours {found['colours']}{limit}`: {found['entities']:,} "
        f"entities, {found['counts']['length3']:,} triangles, {found['rows']:,} rows. The peak is memory "
        f"that no file backs; {found['scratch_mib']:,} MiB of arrays are mapped from files.",
        *([f"The cgroup's peak, mapped files included: {found['cgroup_peak_mib']:,} MiB."] if limit else []),
        "",
        "| step | peak MiB | CPU s | wall s |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {step['step']} | {step['peak_mib']:,} | {step['cpu_seconds']} | {step['wall_seconds']} |"
            for step in found["steps"]
        ),
        "",
    ]
    out = HERE / "results" / f"graph-memory-{found['triples'] // 1000}k"
    out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    out.with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
