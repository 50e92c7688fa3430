"""Counters of a stage for the manifest: dropped items by reason, and named counts."""

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.secrets import redact

# In a file of the wrong format every line is bad, so the number of kept notes is bounded.
MOST_NOTES = 10_000
# Prefix of the counts `dropped_template.LANG.NAME`; the manifest keeps the most frequent names a language.
DROPPED_TEMPLATE = "dropped_template"
_MOST_NAMES = 100
_CHARACTERS = 1_000
# Sums are stored in 64-bit columns; larger ones are capped.
MOST = 2**63 - 1


class Notes:
    """A bounded sample of quarantined input: the `MOST_NOTES` notes with the smallest hashes.

    Merging samples gives the sample of the union, so the result does not depend on the partitioning.
    """

    def __init__(self) -> None:
        self._notes: list[str] = []

    def add(self, note: str) -> None:
        """Add a note; surplus notes are removed from time to time."""
        self._notes.append(note)
        if len(self._notes) == 2 * MOST_NOTES:
            self._notes = self._least()

    def sorted(self) -> list[str]:
        """Return the sample, sorted by the notes' text."""
        return sorted(self._least())

    def _least(self) -> list[str]:
        return heapq.nsmallest(MOST_NOTES, self._notes, key=hash64)


class Tally:
    """Sums that can be merged in any order, so they do not depend on the partitioning.

    Attributes:
        notes: quarantined input as JSON objects `{where, reason, text}`.
    """

    def __init__(self) -> None:
        self.drops: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.notes = Notes()

    def drop(self, reason: str, n: int = 1) -> None:
        """Count dropped records, links or mentions."""
        self.drops[reason] += n

    def count(self, name: str, n: int = 1) -> None:
        """Add to a named count."""
        self.counts[name] += n

    def good(self, n: int = 1) -> None:
        """Count well-formed input records, the denominator of the share of bad input."""
        self.counts["good_input"] += n

    def quarantine(self, *, where: str, reason: str, text: str) -> None:
        """Record malformed input. `where` is its file and line or position; long texts are cut."""
        self.drops["bad_input"] += 1
        note = {"reason": reason[:_CHARACTERS], "text": text[:_CHARACTERS], "where": redact(where)}
        self.notes.add(json.dumps(note, ensure_ascii=False))

    def rows(self) -> Iterable[tuple[str, int]]:
        """Return pairs (`drop.<reason>` or `count.<name>`, n), sorted."""
        named = {f"drop.{reason}": n for reason, n in self.drops.items()}
        named |= {f"count.{name}": n for name, n in self.counts.items()}
        return sorted((name, min(n, MOST)) for name, n in named.items())


def most_frequent_names(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts, sorted by name, with only the 100 most frequent dropped templates of each language.

    The other templates' uses are summed up in `dropped_template.LANG`.
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
