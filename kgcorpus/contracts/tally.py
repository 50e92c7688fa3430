"""Counters of a stage: every drop has a reason, every count a name; both end in the manifest."""

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.secrets import redact

# A file of another kind is bad in every line, and what is kept of it must fit memory and the disk.
MOST_NOTES = 10_000
# Counts `dropped_template.LANG.NAME`: of each language the manifest keeps the most frequent names.
DROPPED_TEMPLATE = "dropped_template"
_MOST_NAMES = 100
_CHARACTERS = 1_000
# Sums travel as 64-bit columns; a larger one is written as this.
MOST = 2**63 - 1


class Notes:
    """A bounded sample of what was set aside: the `MOST_NOTES` notes with the least hashes.

    The sample of samples is the sample of all, so it does not depend on the partitioning.
    """

    def __init__(self) -> None:
        self._notes: list[str] = []

    def add(self, note: str) -> None:
        """Take a note, and drop the surplus now and then."""
        self._notes.append(note)
        if len(self._notes) == 2 * MOST_NOTES:
            self._notes = self._least()

    def sorted(self) -> list[str]:
        """The sample, in the notes' own order."""
        return sorted(self._least())

    def _least(self) -> list[str]:
        return heapq.nsmallest(MOST_NOTES, self._notes, key=hash64)


class Tally:
    """Sums that merge in any order, so that they do not depend on the partitioning.

    Attributes:
        notes: of the bad input; JSON objects `{where, reason, text}`.
    """

    def __init__(self) -> None:
        self.drops: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.notes = Notes()

    def drop(self, reason: str, n: int = 1) -> None:
        """A record, link or mention was left out."""
        self.drops[reason] += n

    def count(self, name: str, n: int = 1) -> None:
        """Something worth knowing happened."""
        self.counts[name] += n

    def good(self, n: int = 1) -> None:
        """Records were read from outside and are well-formed: what the share of bad ones is measured by."""
        self.counts["good_input"] += n

    def quarantine(self, *, where: str, reason: str, text: str) -> None:
        """Bad input was set aside; `where` is its file and line or position. A long text is cut."""
        self.drops["bad_input"] += 1
        note = {"reason": reason[:_CHARACTERS], "text": text[:_CHARACTERS], "where": redact(where)}
        self.notes.add(json.dumps(note, ensure_ascii=False))

    def rows(self) -> Iterable[tuple[str, int]]:
        """(`drop.<reason>` or `count.<name>`, n), sorted."""
        named = {f"drop.{reason}": n for reason, n in self.drops.items()}
        named |= {f"count.{name}": n for name, n in self.counts.items()}
        return sorted((name, min(n, MOST)) for name, n in named.items())


def most_frequent_names(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts, sorted by name, with the 100 most frequent dropped templates of each language.

    The uses of all others are summed up in `dropped_template.LANG`.
    """
    kept: dict[str, int] = {}
    by_language: dict[str, list[tuple[int, str]]] = {}
    for name, n in counts.items():
        if name.startswith(f"{DROPPED_TEMPLATE}."):
            by_language.setdefault(name.split(".", 2)[1], []).append((-n, name))
        else:
            kept[name] = n
    for lang, named in by_language.items():
        named.sort()
        kept |= {name: -n for n, name in named[:_MOST_NAMES]}
        if rest := -sum(n for n, _ in named[_MOST_NAMES:]):
            kept[f"{DROPPED_TEMPLATE}.{lang}"] = rest
    return dict(sorted(kept.items()))
