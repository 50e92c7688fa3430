"""`make torture`: every stage and training killed at seeded moments; the tally goes to docs/faults.md."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipelines.stages import STAGES
from tests.e2e.commands import ONE_CORE, run, sets
from tests.e2e.java import short_lived_java
from tests.torture.kills import PLACES, TRAINING, torture_build, torture_training

ROOT = Path(__file__).parents[2]
RESULT, DOC = ROOT / "benchmarks" / "results" / "torture.json", ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- kills: begin -->", "<!-- kills: end -->"
Tally = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each stage, and of training")
    parser.add_argument("--first-seed", type=int, default=0, help="0 restarts the tally")
    parser.add_argument("--jobs", type=int, default=1, help="builds under torture at once, each with one JVM")
    options = parser.parse_args()
    os.environ.setdefault("JAVA_TOOL_OPTIONS", short_lived_java())
    # Kept where a kill shows a fault.
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    reference = folder / "reference"
    done = run("build-corpus", "--out", reference, *sets(*ONE_CORE))
    if done.returncode:
        sys.exit(done.stderr)
    tally: Tally = {"training": {}, "builds": {}}
    if options.first_seed:
        tally = json.loads(RESULT.read_text())
    else:
        for objective in TRAINING:
            tally["training"][objective] = torture_training(objective, folder, reference, kills=options.kills)
            print(f"{objective}: the same losses and weights", flush=True)
    seeds = range(options.first_seed, options.first_seed + options.kills)

    def killed(seed: int) -> dict[str, str]:
        (folder / str(seed)).mkdir()
        fell = dict(torture_build(folder / str(seed) / "OUT", reference, seeds=[seed]))
        shutil.rmtree(folder / str(seed))
        return fell

    with ThreadPoolExecutor(options.jobs) as pool:
        for seed, fell in zip(seeds, pool.map(killed, seeds), strict=True):
            # Written after each seed: it is hours to the last.
            tally["builds"][str(seed)] = fell
            write_tally(tally)
            print(f"build {seed}: the same bytes", flush=True)
    shutil.rmtree(folder)


def write_tally(tally: Tally) -> None:
    """Keep the tally, and put its sums into the document."""
    RESULT.write_text(json.dumps(tally, indent=1) + "\n")
    fell = {
        stage.table: Counter(build[stage.table] for build in tally["builds"].values())
        for stage in STAGES
        if any(stage.table in build for build in tally["builds"].values())
    }
    lines = [
        f"| stage | kills | {' | '.join(PLACES)} |",
        f"| --- |{' ---: |' * (len(PLACES) + 1)}",
        *(
            f"| {stage} | {counts.total()} | {' | '.join(str(counts[place]) for place in PLACES)} |"
            for stage, counts in fell.items()
        ),
        "",
        "| training | kills | after how many steps (kills) |",
        "| --- | ---: | --- |",
        *(
            f"| `train {objective}` | {sum(fell.values())} | "
            + ", ".join(f"{steps} ({n})" for steps, n in fell.items())
            + " |"
            for objective, fell in tally["training"].items()
        ),
    ]
    before, _, rest = DOC.read_text().partition(BEGIN)
    DOC.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
