"""KMLM's comparisons and tables from the cells, and how every proof prints shares and differences."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from kgcorpus.report.markdown import markdown_table
from proofs.statistics import Found, accuracies, best_rates, gains, interval, of_arm

_SEED = 0
NOT_COMPARABLE = "The models are made here from scratch and are not comparable with the paper's."
# Heads of the columns of `difference`.
DIFFERENCE = ("mean", "95 % interval", "by seed")
_ASKED = ("validation", "test", "question_only", "shuffled_context")


def result(cells: Sequence[Found]) -> dict[str, Any]:
    """Select each arm's learning rate, and compare the arms at their rates.

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
        [name, *difference(one)] for name, one in {"R - C": found["primary"], **found["secondary"]}.items()
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
            f"{percent(found['majority'])}. {NOT_COMPARABLE}",
            f"**Primary: R - C = {gain(found['primary']['difference'])} {bounds(found['primary'])}. "
            f"The claim {holds}.**",
            markdown_table(["arm", "learning rate", *asked], arms),
            markdown_table(["difference on test", *DIFFERENCE], differences),
            "Every cell:",
            markdown_table(["arm", "learning rate", "seed", "tokens", *asked], every) + "\n",
        ]
    )


def percent(share: float) -> str:
    """Format a share as a percentage."""
    return f"{100 * share:.1f} %"


def gain(share: float) -> str:
    """Format a difference of shares in percentage points."""
    return f"{100 * share:+.1f}"


def bounds(one: Mapping[str, Any]) -> str:
    """Format the interval of `proofs.statistics.interval` in percentage points."""
    return f"[{', '.join(map(gain, one['interval']))}]"


def difference(one: Mapping[str, Any]) -> list[str]:
    """Cells of a table's row, in points: mean, interval, and the difference of each seed."""
    return [gain(one["difference"]), bounds(one), " ".join(map(gain, one["by_seed"]))]
