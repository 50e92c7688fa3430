"""Triangles of a generated graph, ours beside others: `python benchmarks/cycles.py --scale 0.1 --rounds 5`.

Every contender runs in a process of its own, in turn, and is given the heads and tails as int32 arrays; CPU
time is that of all its threads and children from there to the number of triangles, imports and compilation
left out. The peak is the process's whole resident memory with the input in it, of Spark the Python worker's
and the JVM's. Peers run in an environment of their own, benchmarks/.venv-peers, made by `python -m venv` with
duckdb, polars, igraph, networkx and pyarrow in it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import contenders
import numpy as np
from graph_generator import Generator

HERE = Path(__file__).parent
PEERS = HERE / ".venv-peers" / "bin" / "python"
YARDSTICK = "compact forward in C"
OURS = (YARDSTICK, "kgcorpus", "kgcorpus, 3 colours", "kgcorpus through Spark", "kgcorpus, mining")
THEIRS = ("duckdb", "polars", "igraph", "networkx")


def measure(name: str, folder: Path) -> dict[str, Any]:
    """One run of one contender."""
    python = str(PEERS) if name in THEIRS else sys.executable
    command = [python, str(HERE / "contenders.py"), name, str(folder)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "2"}
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Read the command line, measure in interleaved rounds, write JSON and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1, help="1 is 20.6M triples")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[*OURS, *THEIRS], default=[*OURS, *THEIRS])
    parser.add_argument("--once", nargs="*", choices=[*OURS, *THEIRS], default=[], help="in one round alone")
    args = parser.parse_args()
    generator = Generator(scale=args.scale, seed=args.seed)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in args.only}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, parts in zip("hrt", zip(*generator.chunks(), strict=True), strict=True):
            np.save(folder / f"{name}.npy", np.concatenate(parts))
        np.save(folder / "entities.npy", np.array(generator.entities))
        contenders.compile_yardstick(folder)
        for number in range(args.rounds):
            for name in args.only:
                if number == 0 or name not in args.once:
                    runs[name].append(measure(name, folder))
                    print(number, name, runs[name][-1], file=sys.stderr, flush=True)
            write(args, generator, runs)


def write(args: argparse.Namespace, generator: Generator, runs: dict[str, list[dict[str, Any]]]) -> None:
    """The runs as JSON, and their medians as a Markdown table."""
    shown = {
        "triples": generator.triples,
        "entities": generator.entities,
        "seed": args.seed,
        "rounds": args.rounds,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    ratio = {
        name: statistics.median(
            run["cpu"] / base["cpu"] for run, base in zip(found, runs[YARDSTICK], strict=False)
        )
        for name, found in runs.items()
        if YARDSTICK in runs
    }
    lines = [
        f"{generator.triples:,} triples, {generator.entities:,} entities, {os.cpu_count()} shared cores;"
        f" medians of interleaved rounds, ratios within a round.",
        "",
        "| | CPU s | ratio to C | wall s | peak MiB | triangles | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in runs.items():
        cpu, wall, peak = (
            statistics.median(run[key] for run in found) for key in ("cpu", "wall", "peak_mib")
        )
        cells = [f"{cpu:.2f}", f"{ratio.get(name, float('nan')):.2f}", f"{wall:.2f}", f"{peak:,.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {found[0]['triangles']:,} | {len(found)} |")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    stem = f"cycles-{generator.triples // 1000}k"
    whole = json.dumps({**shown, "ratio_to_c": ratio, "runs": runs}, indent=1)
    (results / f"{stem}.json").write_text(whole + "\n", encoding="utf-8")
    (results / f"{stem}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
