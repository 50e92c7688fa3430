"""Everything that is measured on one GPU, in 8 minutes: training, packing and importance; without network.

    PYTHONPATH=. python benchmarks/gpu.py [--seconds 480] [--out benchmarks/results]
    PYTHONPATH=. python benchmarks/gpu.py --tiny --device cpu --out FOLDER
    PYTHONPATH=. python benchmarks/gpu.py --read LINES.jsonl

First it is checked that packed records give the loss and the gradients of records alone; without this nothing
is timed. Then each cell of `gpu_cells.py`, the most important first, prints a JSON line as it ends. Its
`status` is `ok`, `error` with the reason, or `skipped` when the time is over. Cells run in a process of their
own, which is replaced after an error, so that none ends the others. Models have random weights. Texts are
made up at real lengths (`made_corpus.py`) and go through our readers. Two steps warm up, six are measured.
The contender is transformers' Trainer at its best (`gpu_trainer.py`). `mfu` counts real tokens only: 6 FLOPs
a token and weight, without embeddings and scores of the vocabulary, for both ways. `--tiny` runs all cells at
sizes of a smoke test, uncompiled. `--read` writes the tables from the lines of an earlier run.
Writes gpu.{json,md} to --out; benchmarks/tables.py says when the figures are older than the trainer.
"""

import argparse
import json
import logging
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tables import trainer_hash

RESULTS = Path(__file__).parent / "results"
GOALS = {"faster": 2.5, "mfu": 0.45, "memory": 0.6}
# What a cell needs at least, so that one is not begun for nothing.
_LEAST_SECONDS = 5
Line = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    """Read the command line, run the cells, write the tables; return the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=480, help="no cell runs longer than this in all")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="all cells at sizes of a smoke test")
    parser.add_argument(
        "--cells", nargs="*", help="only cells whose names contain one of these; and the check"
    )
    parser.add_argument("--read", type=Path, help="write tables from these lines, run nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.read:
        lines = [json.loads(line) for line in options.read.read_text(encoding="utf-8").splitlines()]
    else:
        lines = run_cells(options)
    write_tables(lines, options.out)
    return lines


def run_cells(options: argparse.Namespace) -> list[Line]:
    """Run the cells in processes of their own, and print a line for each."""
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no GPU; add --tiny --device cpu for a smoke test")
    from gpu_cells import CELLS

    names = [
        cell.name
        for cell in CELLS
        if cell.kind == "check" or not options.cells or any(part in cell.name for part in options.cells)
    ]
    end, lines, checked = time.monotonic() + options.seconds, [_about(options)], False
    with (
        tempfile.TemporaryDirectory() as folder,
        (options.out / "gpu.jsonl").open("w", encoding="utf-8") as log,
    ):

        def note(line: Line) -> None:
            lines.append(line)
            text = json.dumps(line)
            print(text, flush=True)
            log.write(text + "\n")
            log.flush()

        print(json.dumps(lines[0]), flush=True)
        log.write(json.dumps(lines[0]) + "\n")
        worker: _Worker | None = None
        for name in names:
            left = end - time.monotonic()
            if left < _LEAST_SECONDS:
                note({"cell": name, "status": "skipped", "reason": "no time left"})
                continue
            worker = worker or _Worker(folder, options, checked=checked)
            began = time.monotonic()
            found = worker.measure(name, seconds=left)
            note({"cell": name, **found, "wall_seconds": round(time.monotonic() - began, 1)})
            checked = checked or found["status"] == "ok"
            if found["status"] != "ok":
                # After an error of a kernel a process can use its GPU no more.
                worker.stop()
                worker = None
        if worker:
            worker.stop()
    return lines


class _Worker:
    """A process that measures cells.

    Args:
        folder: for corpora and base models.
        options: of the command line.
        checked: packed = unpacked was shown before.
    """

    def __init__(self, folder: str, options: argparse.Namespace, *, checked: bool) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        arguments = (theirs, folder, options.device, options.tiny, checked)
        self._process = spawn.Process(target=_serve, args=arguments, daemon=False)
        self._process.start()
        theirs.close()

    def measure(self, name: str, *, seconds: float) -> Line:
        """The cell's numbers with a `status`; an error, also one that ended the process, is its `reason`."""
        try:
            self._connection.send(name)
            if not self._connection.poll(seconds):
                return {"status": "skipped", "reason": "stopped at the end of the time"}
            found: Line = self._connection.recv()
        except (EOFError, OSError):
            # The process is gone, before or after it had the name.
            self._process.join()
            return {"status": "error", "reason": f"the process ended with code {self._process.exitcode}"}
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, folder: str, device: str, small: bool, checked: bool) -> None:
    # The Trainer prints; stdout has the lines alone.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if small:
        # The compiler takes longer than all tiny cells.
        os.environ["TORCHDYNAMO_DISABLE"] = os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from gpu_cells import CELLS, Bench, tiny

    logging.disable(logging.WARNING)
    bench = Bench(Path(folder), device=device, small=small)
    if checked:
        bench.allow_timings()
    cells = {cell.name: cell for cell in CELLS}
    while True:
        try:
            cell = cells[connection.recv()]
        except EOFError:
            return
        try:
            answer = {"status": "ok", **bench.measure(tiny(cell) if small else cell)}
        except Exception as error:
            traceback.print_exc()
            answer = {
                "status": "error",
                "reason": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            }
        connection.send(answer)


def _about(options: argparse.Namespace) -> Line:
    import torch

    names = ("torch", "transformers", "accelerate")
    return {
        "device": torch.cuda.get_device_name() if options.device == "cuda" else platform.machine(),
        "tiny": options.tiny,
        "seconds": options.seconds,
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "versions": {name: __import__(name).__version__ for name in names},
        "trainer": trainer_hash(),
    }


def write_tables(lines: list[Line], out: Path) -> None:
    """Write gpu.json and gpu.md from the lines of a run."""
    about, cells = lines[0], lines[1:]
    by_name = {line["cell"]: line for line in cells if line["status"] == "ok"}
    ratios = _ratios(by_name)
    rows = [_row(line) for line in cells if line["cell"] != "packed = unpacked"]
    missing = [f"`{line['cell']}`: {line['status']} ({line['reason']})" for line in cells if "reason" in line]
    text = [
        f"# On a GPU: {about['device']}",
        "",
        f"`python benchmarks/gpu.py`, torch {about['versions']['torch']}, transformers "
        f"{about['versions']['transformers']}; bfloat16, one device."
        + (" **Tiny sizes on a CPU: a smoke test, no measurement.**" if about["tiny"] else ""),
        "",
        "| cell | tokens/s | seconds a step | MFU | waiting for data | peak GiB | passages/s |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    if ratios:
        text += [
            "| | times the Trainer's tokens/s (goal 2.5) | share of its peak memory (goal .6 at 250k) |",
            "|---|---|---|",
            *(f"| {name} | {speed:.2f} | {memory:.2f} |" for name, (speed, memory) in ratios.items()),
            "",
        ]
    if check := by_name.get("packed = unpacked"):
        names = ("loss_difference_fp32", "gradient_difference_fp32", "tolerance")
        loss, gradient, tolerance = (f"{check[name]:.0e}" for name in names)
        bf16 = " and ".join(f"{check[f'{part}_difference_bf16']:.0e}" for part in ("loss", "gradient"))
        text += [
            f"Packed = unpacked in float32: losses to {loss}, gradients to {gradient} of the largest value "
            f"(tolerance {tolerance}); in bfloat16 {bf16}.",
            "",
        ]
    if missing:
        text += ["Not measured: " + "; ".join(missing) + ".", ""]
    found = {**about, "goals": GOALS, "ratios": ratios, "cells": cells}
    (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (out / "gpu.md").write_text("\n".join(text), encoding="utf-8")


def _ratios(by_name: dict[str, Line]) -> dict[str, tuple[float, float]]:
    """For cells that both ways ran: our tokens a second and peak memory over the Trainer's."""
    found = {}
    for name, own in by_name.items():
        other = by_name.get(name.replace("KMLM", "Trainer", 1))
        if name.startswith("KMLM") and other:
            speed = own["tokens_per_second"] / other["tokens_per_second"]
            found[name.removeprefix("KMLM ")] = (speed, own["peak_memory_mib"] / other["peak_memory_mib"])
    return found


def _row(line: Line) -> str:
    def shown(name: str, form: str) -> str:
        return f"{line[name]:{form}}" if name in line else ""

    peak = f"{line['peak_memory_mib'] / 1024:.1f}" if "peak_memory_mib" in line else ""
    speed = shown("tokens_per_second", ",") or ("" if line["status"] == "ok" else line["status"])
    cells = [
        line["cell"],
        speed,
        shown("step_seconds", ".3f"),
        shown("mfu", ".2f"),
        shown("data_share", ".1%"),
        peak,
    ]
    return f"| {' | '.join([*cells, shown('passages_per_second', ',')])} |"


if __name__ == "__main__":
    main(sys.argv[1:])
