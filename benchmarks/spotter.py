"""Names found in text per CPU second, ours beside others.

    python benchmarks/spotter.py [--names 1000000] [--characters 20000000] [--rounds 3]

Names and text are made up from one vocabulary with a Zipf tail, names of one to four words. Every contender
runs in a process of its own, in turn; the medians are kept. The rate counts the CPU time of reading the text,
line by line; the memory is what the process grew by while it built. Peers run in benchmarks/.venv-peers, with
ahocorasick-rs, flashtext2, pyahocorasick and spacy in it. Writes benchmarks/results/spotter-*.
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

import numpy as np
from spotter_contenders import CONTENDERS

HERE = Path(__file__).parent
VOCABULARY = 300_000
LINE = 2_000  # words
OURS = "kgcorpus"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--characters", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=[*CONTENDERS])
    parser.add_argument("--peers", default=str(HERE / ".venv-peers" / "bin" / "python"))
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.only}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_up(folder, arguments.names, arguments.characters)
        for _ in range(arguments.rounds):
            for name, found in runs.items():
                found.append(measure(name, folder, arguments.peers))
                print(name, found[-1], file=sys.stderr, flush=True)
    write(arguments, runs)


def make_up(folder: Path, names: int, characters: int) -> None:
    """names.txt and text.txt."""
    rng = np.random.default_rng(0)
    letters = np.array(list("eatoinshrdlucmfwypvbgkjqxz"))
    lengths = rng.integers(2, 11, VOCABULARY)
    words = ["".join(letters[(26 * rng.random(n) ** 2).astype(int)]) for n in lengths]
    # A third is capitalised, and names prefer these.
    words = [word.capitalize() if i % 3 == 0 else word for i, word in enumerate(words)]
    made: set[str] = set()
    while len(made) < names:
        places = 3 * (VOCABULARY / 3 * rng.random((names, 4)) ** 2).astype(int)
        kept = zip(places.tolist(), rng.choice([1, 2, 2, 2, 3, 3, 4], names).tolist(), strict=True)
        made |= {" ".join(words[at] for at in row[:n]) for row, n in kept}
    known = sorted(made)[:: max(1, len(made) // names)][:names]
    (folder / "names.txt").write_text("\n".join(known) + "\n", encoding="utf-8")
    written = 0
    with (folder / "text.txt").open("w", encoding="utf-8") as stream:
        while written < characters:
            ranks = np.exp(rng.random(LINE) * np.log(VOCABULARY)).astype(int) - 1
            parts = [words[rank] for rank in ranks.tolist()]
            for at in rng.integers(0, LINE, LINE // 12).tolist():
                parts[at] = known[rng.integers(len(known))] + ","
            written += stream.write(" ".join(parts) + ".\n")


def measure(name: str, folder: Path, peers: str) -> dict[str, Any]:
    """One run of one contender."""
    python = sys.executable if name == OURS else peers
    command = [python, str(HERE / "spotter_contenders.py"), name, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write(arguments: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> None:
    """The runs as JSON, and their medians as a Markdown table."""
    middle = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }
    rate = middle[OURS]["mchar"] if OURS in middle else float("nan")
    text = [
        f"# Spotter: {arguments.names:,} names in {arguments.characters / 1e6:.0f} million characters",
        "",
        "| matcher | Mchar a CPU second | ours is faster by | MiB | build, CPU s | names found |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in middle.items():
        cells = f"{row['mchar']:.2f} | {rate / row['mchar']:.1f} | {row['mib']:,.0f} | {row['build_cpu']:.1f}"
        text.append(f"| {name} | {cells} | {row['found']:,.0f} |")
    shown = {
        "names": arguments.names,
        "characters": arguments.characters,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "runs": runs,
    }
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    stem = results / f"spotter-{arguments.names // 1000}k"
    stem.with_suffix(".json").write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
