"""Memory and speed of TransE at Wikidata5M's size: `python benchmarks/kge_memory.py [--scale 1] [--dim 200]`.

The graph is that of graph_generator.py, in shards as a build writes them. Two processes run in turn: the
first makes the files of facts and takes one step, the second takes `--steps` more. Prints the peaks of both
beside the formula of `trainer.transe.train.train_transe`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROWS = 2_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--dim", type=int, default=200)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus, out = Path(scratch) / "corpus", Path(scratch) / "run"
        _write_corpus(corpus, arguments.scale)
        peaks = [_peak(corpus, out, arguments.dim, steps) for steps in (1, 1 + arguments.steps)]
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        with (out / "model" / "entities.txt").open("rb") as stream:
            entities = sum(1 for _ in stream)
        facts = len(np.load(out / "triples" / "facts.npy", mmap_mode="r"))
    seconds = sorted(line["seconds"] for line in lines[1:])[len(lines) // 2]
    formula = (4 * entities * (arguments.dim + 1) + 24 * facts) / 2**20
    print(f"{facts:,} facts, {entities:,} entities, dim {arguments.dim}")
    print(f"peak MiB: files of facts and one step {peaks[0]:,.0f}, training {peaks[1]:,.0f}")
    print(f"formula {formula:,.0f} MiB, to which come {12 * facts / 2**20:,.0f} mapped")
    print(f"median step of {lines[-1]['facts']} facts: {1000 * seconds:.1f} ms")


def _write_corpus(out: Path, scale: float) -> None:
    import pyarrow.parquet as pq
    from graph_generator import Generator, write

    from kgcorpus.contracts.manifest import File, Manifest, TableEntry
    from kgcorpus.contracts.store import sha256_of

    out.mkdir()
    write(Generator(scale=scale, seed=0), out / "all.parquet")
    files: list[File] = []
    for batch in pq.ParquetFile(out / "all.parquet").iter_batches(ROWS):
        path = out / f"part-{len(files):05d}.parquet"
        with pq.ParquetWriter(path, batch.schema, compression="zstd") as writer:
            writer.write_batch(batch)
        files.append(File(path.name, len(batch), path.stat().st_size, sha256_of(path)))
    entry = TableEntry("triples", "0" * 12, "0" * 64, sum(file.rows for file in files), {}, {}, tuple(files))
    Manifest({"triples": entry}).save(out)
    (out / "all.parquet").unlink()


def _peak(corpus: Path, out: Path, dim: int, steps: int) -> float:
    """Peak resident MiB of a run up to this step; pages of mapped files are in it."""
    code = (
        "import sys; from kgcorpus.cli import run_app, app; code = run_app(app);"
        "print(open('/proc/self/status').read()); sys.exit(code)"
    )
    sets = (
        f"transe.dim={dim}",
        "transe.facts_per_step=8192",
        "checkpoint_every=1000000",
        "log_every=1000000",
    )
    command = [sys.executable, "-c", code, "train", "transe", "--corpus", str(corpus), "--out", str(out)]
    command += ["--max-steps", str(steps), *(part for pair in sets for part in ("--set", pair))]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    (peak,) = re.findall(r"VmHWM:\s+(\d+)", done.stdout)
    return int(peak) / 1024


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
