"""The floor of the base of the proofs, and its result as tables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgcorpus.report.markdown import markdown_table
from proofs.report import percent

SETS = ("google_re", "trex")


@dataclass(frozen=True)
class Floor:
    """P@1 above the majority's in `share` of LAMA's relations with at least `facts` answerable facts."""

    share: float = 2 / 3
    facts: int = 20


def floor(lama: Mapping[str, Any], asked: Floor) -> dict[str, Any]:
    """Compare LAMA's P@1 with the majority, the relation's most frequent object, relation by relation.

    Args:
        lama: of `trainer.evaluate.probe.lama.evaluate_lama`.
        asked: the floor.

    Returns:
        `above`, `relations` (those with enough facts), `needed` and `met`. Without a relation it is not met.
    """
    rows = [row for _, row in _relations(lama) if row["n"] >= asked.facts]
    above, needed = sum(row["p@1"] > row["majority"] for row in rows), math.ceil(asked.share * len(rows))
    met = bool(rows) and above >= needed
    return {"above": above, "relations": len(rows), "needed": needed, "met": met}


def markdown(found: Mapping[str, Any]) -> str:
    """The result of `proofs.base` as a page in Markdown."""
    lama, passed, text, held = found["lama"], found["floor"], found["text"], found["held_out"]
    verdict = (
        "The floor is met"
        if passed["met"]
        else "The floor is not met: proofs refuse this base unless told to take it"
    )
    losses = [[name, f"{row['loss']:.3f}", f"{row['predicted']:,}"] for name, row in held.items()]
    means = []
    for name in SETS:
        if name in lama:
            whole, mean = lama[name]["all_facts"], lama[name]
            low, high = whole["interval"]
            shares = (percent(mean["p@1"]), percent(mean["majority"]), percent(mean["chance"]))
            difference = f"{100 * whole['difference']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            means.append([name, f"{mean['n']:,}", *shares, difference])
    rows = [
        [
            name,
            f"{row['n']:,}",
            percent(row["p@1"]),
            percent(row["majority"]),
            "yes" if row["p@1"] > row["majority"] else "no",
        ]
        for name, row in _relations(lama)
    ]
    parts = (
        "# The base of the proofs",
        f"`python -m proofs.base`; what is trained and measured: [README](../README.md). Encoder: "
        f"{found['package']}. Text read: {text['records']:,} records, {text['tokens']:,} tokens.",
        f"**LAMA P@1 is above the majority in {passed['above']} of {passed['relations']} relations with at "
        f"least {found['plan']['floor']['facts']} facts; {passed['needed']} are needed. {verdict}.**",
        "Masked-language-model loss on test text, in nats a token; `start` has a new head:",
        markdown_table(("model", "loss", "predicted tokens"), losses, numbers=2),
        "LAMA, means over relations; the difference is P@1 - majority over all facts, in points, with its "
        "95 % bootstrap interval:",
        markdown_table(("set", "facts", "P@1", "majority", "chance", "difference"), means, numbers=5),
        "LAMA by relation:",
        markdown_table(("relation", "facts", "P@1", "majority", "above"), rows, numbers=4),
    )
    return "\n\n".join(parts) + "\n"


def _relations(lama: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [pair for name in SETS if name in lama for pair in lama[name]["relations"].items()]
