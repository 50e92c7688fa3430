"""Sampling of a text file's documents by hash; KMLM (section 4.1) samples CC100 to 260 million sentences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgcorpus.contracts.draws import mix64
from kgcorpus.contracts.tally import Tally

Row = dict[str, Any]
_BIN_BITS = 20


@dataclass(frozen=True)
class Sample:
    """Which documents of a file are kept; a larger sample holds a smaller one of the same seed.

    A document's key is a hash of the seed and its page id: the sample does not depend on the partitioning.

    Attributes:
        share: the expected share of the documents.
        sentences: at most so many sentences; a line of a document is one, as in CC100.
        seed: the hash of the build's seed with a name.
    """

    share: float | None
    sentences: int | None
    seed: int

    def of(self, read: Callable[[Tally], Iterator[Row]], tally: Tally) -> Iterator[Row]:
        """Yield the kept documents in the file's order.

        A number of sentences needs the count of all of them, so the file is read twice.

        Args:
            read: starts a reading of the file's documents, as rows of table `pages`, with its own counters.
            tally: drops `not_sampled`, in documents; counts `sampled_sentences.<lang>`.
        """
        if self.share is None and self.sentences is None:
            yield from read(tally)
            return
        limit = int(self.share * 2.0**64) if self.share is not None else self._limit(read(Tally()))
        for row in read(tally):
            if self._key(row) < limit:
                tally.count(f"sampled_sentences.{row['lang']}", _lines(row))
                yield row
            else:
                tally.drop("not_sampled")

    def _key(self, row: Row) -> int:
        return mix64(self.seed ^ -row["page_id"])

    def _limit(self, rows: Iterator[Row]) -> int:
        """The largest limit of keys, in steps of 2^-20 of all, that selects at most `sentences` sentences."""
        lines = np.zeros(1 << _BIN_BITS, np.int64)
        for row in rows:
            lines[self._key(row) >> (64 - _BIN_BITS)] += _lines(row)
        bins = int(np.searchsorted(np.cumsum(lines), self.sentences or 0, side="right"))
        return bins << (64 - _BIN_BITS)


def _lines(row: Row) -> int:
    text: str = row["text"]
    return text.count("\n") + 1
