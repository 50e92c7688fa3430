"""Wall and CPU time of a build into an object store and into a folder: `python benchmarks/store.py`.

The store is an S3 server on loopback (moto), whose own CPU time is not counted; builds alternate. Writes
benchmarks/results/store.json. With `--at-most 1` each call makes one build, and the same command continues.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from measured import Measured
from processes import Peak

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RESULT = ROOT / "benchmarks" / "results" / "store.json"


def build(words: list[str], out: str, temporary: Path, peak: Peak) -> dict[str, Any]:
    """One build in a process of its own.

    Returns:
        seconds: of the whole command. cpu_seconds: of the command, Java and the workers.
    """
    temporary.mkdir(parents=True)
    began = time.monotonic()
    before, own = peak.cpu_seconds(), time.process_time()
    subprocess.run(
        [sys.executable, "-m", "kgcorpus", "build-corpus", "--quiet", "--out", out, *words],
        check=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    seconds = time.monotonic() - began
    # The store is in this process.
    cpu = peak.cpu_seconds() - before - (time.process_time() - own)
    shutil.rmtree(temporary)
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}


def main() -> None:
    from tests.stores import running_store

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="a configuration; default: the embedded world")
    parser.add_argument("--set", action="append", default=[], help="overrides of the configuration")
    parser.add_argument("--pairs", type=int, default=2, help="builds of each kind")
    parser.add_argument("--targets", nargs="*", default=[], help="tables; default: all")
    parser.add_argument("--at-most", type=int, metavar="N", help="make N builds; the same command continues")
    parser.add_argument("--out", type=Path, default=RESULT, help="the result")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    words = [*options.targets, *(["--config", options.config] if options.config else [])]
    words += [word for override in options.set for word in ("--set", override)]
    peak = Peak()
    peak.start()
    found: dict[str, list[dict[str, Any]]] = {"folder": [], "store": []}
    measured = Measured(options.out, {"words": words, "pairs": options.pairs}, most=options.at_most)
    with tempfile.TemporaryDirectory() as folder, running_store() as store:
        home = Path(folder)
        for number in range(options.pairs):
            for kind, out in (("folder", str(home / f"out{number}")), ("store", f"{store.url}/out{number}")):
                name = f"{kind} {number}"
                found[kind].append(measured.of(name, partial(build, words, out, home / "tmp", peak)))
                store.empty()
    least = {kind: {name: min(run[name] for run in runs) for name in runs[0]} for kind, runs in found.items()}
    ratios = {name: round(least["store"][name] / least["folder"][name], 2) for name in least["store"]}
    result = {
        "config": Path(options.config).name if options.config else "the embedded world",
        "targets": options.targets,
        "overrides": options.set,
        "cores": os.cpu_count(),
        "builds": found,
        "ratio_of_least": ratios,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    measured.forget()
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
