"""`make torture`: every stage and training killed at seeded moments; the tally goes to docs/faults.md."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pipelines.stages import STAGES
from tests.e2e.commands import ONE_CORE, run, sets
from tests.torture.kills import PLACES, torture_build, torture_training

DOC = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- kills: begin -->", "<!-- kills: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each stage, and of training")
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = run("build-corpus", "--out", folder / "reference", *sets(*ONE_CORE))
        if done.returncode:
            sys.exit(done.stderr)
        fell: dict[str, Counter[str]] = {stage.table: Counter() for stage in STAGES}
        for seed in range(options.first_seed, options.first_seed + options.kills):
            (folder / str(seed)).mkdir()
            for stage, place in torture_build(folder / str(seed) / "OUT", folder / "reference", seed=seed):
                fell[stage][place] += 1
            print(f"build {seed}: the same bytes", flush=True)
        trained = torture_training(folder, folder / "reference", kills=options.kills)
        print("training: the same losses and weights", flush=True)
    write_tally(fell, trained)


def write_tally(fell: dict[str, Counter[str]], trained: Counter[str]) -> None:
    """Put the tally into the document."""
    lines = [
        f"| stage | kills | {' | '.join(PLACES)} |",
        f"| --- |{' ---: |' * (len(PLACES) + 1)}",
        *(
            f"| {stage} | {counts.total()} | {' | '.join(str(counts[place]) for place in PLACES)} |"
            for stage, counts in fell.items()
        ),
        "",
        f"Training: {trained.total()} kills of one run: "
        + ", ".join(f"{n} at {place}" for place, n in sorted(trained.items(), key=_steps))
        + ".",
    ]
    before, _, rest = DOC.read_text().partition(BEGIN)
    DOC.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}")


def _steps(item: tuple[str, int]) -> int:
    first = item[0].split()[0]
    return int(first) if first.isdigit() else sys.maxsize


if __name__ == "__main__":
    main()
