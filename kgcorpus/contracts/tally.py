"""Counters of a stage: every drop has a reason, every count a name; both end in the manifest."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Quarantined:
    """A piece of bad input that was set aside."""

    where: str
    reason: str
    text: str


class Tally:
    """Sums that merge in any order, so that they do not depend on the partitioning."""

    def __init__(self) -> None:
        self.drops: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []

    def drop(self, reason: str, n: int = 1) -> None:
        """A record, link or mention was left out."""
        self.drops[reason] += n

    def count(self, name: str, n: int = 1) -> None:
        """Something worth knowing happened."""
        self.counts[name] += n

    def quarantine(self, *, where: str, reason: str, text: str) -> None:
        """Bad input was set aside; `where` is its file and line or position."""
        self.drops["bad_input"] += 1
        self.quarantined.append(Quarantined(where, reason, text))

    def rows(self) -> Iterable[tuple[str, int]]:
        """(`drop.<reason>` or `count.<name>`, n), sorted."""
        named = {f"drop.{reason}": n for reason, n in self.drops.items()}
        named |= {f"count.{name}": n for name, n in self.counts.items()}
        return sorted(named.items())
