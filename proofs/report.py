"""The proof's result from its cells, as JSON and as tables."""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from kgcorpus.contracts.store import write_text
from kgcorpus.report.markdown import markdown_table
from proofs.statistics import Found, accuracies, best_rates, gains, interval, of_arm

_SEED = 0
_ASKED = ("validation", "test", "question_only", "shuffled_context")


def write_report(files: Sequence[Path], target: Path, *, plan: Mapping[str, Any]) -> None:
    """Write KMLM's TARGET.json and TARGET.md; see `write_cells`."""
    write_cells(files, target, plan=plan, analyse=result, show=tables)


def write_cells(
    files: Sequence[Path],
    target: Path,
    *,
    plan: Mapping[str, Any],
    analyse: Callable[[Sequence[Found]], dict[str, Any]],
    show: Callable[[Mapping[str, Any], Sequence[Found]], str],
) -> None:
    """Write the result of a proof's cells to TARGET.json and TARGET.md.

    Args:
        files: of all the cells.
        target: path without a suffix.
        plan: what was run.
        analyse: cells -> the comparisons.
        show: (comparisons, cells) -> tables in Markdown.
    """
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    found = analyse(cells)
    write_result(target, {"plan": plan, **found}, {"cells": cells}, text=show(found, cells))


def write_result(target: Path, found: Mapping[str, Any], cells: Mapping[str, Any], *, text: str) -> None:
    """Write what was found, the machine and the cells to TARGET.json, and `text` to TARGET.md."""
    versions = {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "versions": versions}
    write_text(target.with_suffix(".json"), json.dumps({**found, **machine, **cells}) + "\n")
    write_text(target.with_suffix(".md"), text)


def result(cells: Sequence[Found]) -> dict[str, Any]:
    """The learning rate of each arm, and what the arms at theirs answer.

    Returns:
        `rates`, `majority` (accuracy of the validation questions' most frequent answer), and by pairs of arms
        or controls what `interval` gives: `primary`, R against C on the test questions, and `secondary`.
    """
    rates = best_rates(cells)
    chosen = {arm: of_arm(cells, arm, lr) for arm, lr in rates.items()}

    def against(one: str, other: str, *, asked: str = "test", unseen: bool = False) -> dict[str, Any]:
        samples = []
        for a, b in zip(chosen[one], chosen[other], strict=True):
            at = [i for i, new in enumerate(a["unseen"]) if new or not unseen]
            right, baseline = a["right"]["test"], b["right"][asked]
            if at:
                clusters = [a["questions"][i] for i in at]
                samples.append(gains([right[i] for i in at], [baseline[i] for i in at], clusters))
        return interval(samples, seed=_SEED)

    secondary = {
        "R - M": against("R", "M"),
        "M - C": against("M", "C"),
        "R - R, question only": against("R", "R", asked="question_only"),
        "R - R, shuffled context": against("R", "R", asked="shuffled_context"),
    }
    if any(any(cell["unseen"]) for cell in cells):
        secondary["R - C, unseen combinations"] = against("R", "C", unseen=True)
    majority = fmean(fmean(cell["majority"]) for cell in chosen["R"])
    return {"rates": rates, "majority": majority, "primary": against("R", "C"), "secondary": secondary}


def tables(found: Mapping[str, Any], cells: Sequence[Found]) -> str:
    """The result in Markdown."""
    arms = [
        [arm, f"{lr:g}", *(percent(fmean(accuracies(cells, arm, lr, asked))) for asked in _ASKED)]
        for arm, lr in found["rates"].items()
    ]
    differences = [
        [name, gain(one["difference"]), bounds(one), " ".join(map(gain, one["by_seed"]))]
        for name, one in {"R - C": found["primary"], **found["secondary"]}.items()
    ]
    every = [
        [cell["arm"], f"{cell['lr']:g}", str(cell["seed"]), f"{cell['tokens']:,}"]
        + [percent(fmean(cell["right"][asked])) for asked in _ASKED]
        for cell in cells
    ]
    holds = "holds" if found["primary"]["interval"][0] > 0 else "does not hold"
    asked = [name.replace("_", " ") for name in _ASKED]
    return "\n\n".join(
        [
            "# KMLM: do cycles teach reasoning?",
            "`make proof-kmlm`; the arms, the metric and the stopping rule: [README](../README.md). Accuracy "
            "on held-out XLR questions, zero-shot; chance 16.7 %, the most frequent answer "
            f"{percent(found['majority'])}. The models are made here from scratch and are not comparable "
            "with the paper's.",
            f"**Primary: R - C = {gain(found['primary']['difference'])} {bounds(found['primary'])}. "
            f"The claim {holds}.**",
            markdown_table(["arm", "learning rate", *asked], arms),
            markdown_table(["difference on test", "mean", "95 % interval", "by seed"], differences),
            "Every cell:",
            markdown_table(["arm", "learning rate", "seed", "tokens", *asked], every) + "\n",
        ]
    )


def percent(share: float) -> str:
    """Of a share."""
    return f"{100 * share:.1f} %"


def gain(share: float) -> str:
    """A difference of shares, in points."""
    return f"{100 * share:+.1f}"


def bounds(one: Mapping[str, Any]) -> str:
    """The interval of `proofs.statistics.interval`, in points."""
    return f"[{', '.join(map(gain, one['interval']))}]"
