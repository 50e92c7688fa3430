"""Spotting: finds every known name in a text, with a memory-mapped hash table of token prefixes.

A text is a sequence of tokens; a name matches where its tokens occur, with spaces where it has spaces. The
hash of a sequence is computed from the hash without its last token, so a text is read once: from each token
the sequence grows while it is the prefix of a name in the dictionary. A lookup that fails is one cache miss;
a filter of a bit a row, small enough for the cache, spares most of them.

Two names whose 63-bit hashes are equal stop the build. A row of tokens that is no name and has a name's hash
is expected once in 10^11 lookups at 5 million names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from kgcorpus.contracts.arrays import Int32s, Int64s, UInt8s, UInt64s
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.kg.arrays import Folder, Group
from kgcorpus.kg.compiled import njit
from kgcorpus.linking.characters import Codes, character_table, codes_of, composed, lower_character_table
from kgcorpus.linking.spotter_tokens import (
    GAP_BREAK,
    HALF,
    MAY_END,
    MAY_START,
    MIX,
    NOTHING,
    SPACE,
    START,
    STEP,
    Tokens,
    marks,
    mixed,
    particle_hashes,
    tokenize,
)

LOAD = 0.45  # share of the slots that are taken
FILTER_BITS = 8  # a row
_ONE = np.uint64(1)
_SEVEN = np.uint64(7)
_SPACED = np.uint64(0xD6E8FEB86659FD93)


class Spots(NamedTuple):
    """[m] places of names: spans in code points, the names' numbers, and first and last tokens."""

    starts: Int32s
    ends: Int32s
    names: Int32s
    first: Int32s
    last: Int32s


class Table(NamedTuple):
    """Open addressing; see `Spotter`."""

    keys: UInt64s
    values: Int32s
    bits: UInt8s


class Spotter:
    """The dictionary.

    Args:
        keys: [slots] hashes of rows of tokens, 0 for an empty slot; the last bit is 0 for a name, 1 for a row
            that only begins names.
        values: [slots] the names' numbers.
        bits: the filter: for each key, the bit at its lower bits is 1.
        characters, lower: [0x110000] what `character_table` and `lower_character_table` gave when the
            dictionary was built.
    """

    def __init__(self, keys: UInt64s, values: Int32s, bits: UInt8s, characters: Codes, lower: Codes) -> None:
        self._table = Table(keys, values, bits)
        self._characters, self._lower = characters, lower

    @classmethod
    def build(cls, names: Sequence[str]) -> "Spotter":
        """Index distinct names, each as `normalise` gives it; one without tokens is never found.

        Raises:
            KgcorpusError: two names have one hash: they are equal, or not normalised.
        """
        characters = character_table()
        codes = codes_of("\n".join(names))
        table, clash = _build(tokenize(codes, characters, particle_hashes()), codes)
        if clash >= 0:
            raise KgcorpusError(f"the name {names[clash]!r} is given twice", where="spotter")
        keys, values, bits = table
        return cls(keys, values, bits, characters, lower_character_table())

    def save(self, folder: Path) -> None:
        """Write the arrays as .npy files."""
        arrays: Group = {**self._table._asdict(), "characters": self._characters, "lower": self._lower}
        Folder(folder).put("spotter", arrays)

    @classmethod
    def open(cls, folder: Path) -> "Spotter":
        """Map what `save` wrote; all processes of a machine share the memory."""
        return cls(**Folder(folder).get("spotter"))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in (*self._table, self._characters, self._lower))

    def tokens(self, text: str) -> Tokens:
        """The text's tokens."""
        return self._tokens(text, self._characters)

    def lower_tokens(self, text: str) -> Tokens:
        """The text's tokens, with the hashes of their lower case."""
        return self._tokens(text, self._lower)

    def _tokens(self, text: str, characters: Codes) -> Tokens:
        codes, places = self._codes(text)
        tokens = tokenize(codes, characters, particle_hashes())
        return tokens if places is None else _at(places, tokens)

    def longest(self, text: str) -> Spots:
        """Disjoint spots: from the left, at each token the longest name."""
        codes, places = self._codes(text)
        spots = _longest(codes, self._characters, particle_hashes(), self._table)
        return spots if places is None else _at(places, spots)

    def _codes(self, text: str) -> tuple[Codes, Int64s | None]:
        """Code points of the composed text, and where they stood in `text` if elsewhere."""
        codes = codes_of(text)
        if text.isascii():
            return codes, None
        text, places = composed(text, marks(codes, self._characters))
        return codes if places is None else codes_of(text), places

    def find(self, name: str) -> int:
        """The number of a name, -1 for one that is not there."""
        tokens = self.tokens(name)
        spots = self.every(tokens)
        whole = (spots.first == 0) & (spots.last == len(tokens.starts) - 1)
        return int(spots.names[whole][0]) if whole.any() else -1

    def every(self, tokens: Tokens) -> Spots:
        """All spots, also those inside others, by first token and then by length."""
        return _every(tokens, self._table)


S = TypeVar("S", Tokens, Spots)


def _at(places: Int64s, spans: S) -> S:
    starts, ends = (places[at].astype(np.int32) for at in (spans.starts, spans.ends))
    return spans._replace(starts=starts, ends=ends)


@njit(cache=True, inline="always")
def _extended(row: np.uint64, token: np.uint64, gap: np.uint8) -> np.uint64:
    """The hash of a row with one more token; odd, and never 1, so that no key is 0, an empty slot."""
    if gap == SPACE:
        token ^= _SPACED
    found = mixed((row + STEP) * MIX ^ token) | _ONE
    return found if found != _ONE else np.uint64(3)


@njit(cache=True)
def _build(tokens: Tokens, codes: Codes) -> tuple[Table, int]:
    """The table, and -1 or the number of a name that is in already. Each line of `codes` is a name."""
    n = len(tokens.starts)
    rows = np.empty(n, np.uint64)
    for i in range(n):
        row = START if tokens.gaps[i] == GAP_BREAK else rows[i - 1]
        rows[i] = _extended(row, tokens.hashes[i], NOTHING if tokens.gaps[i] == GAP_BREAK else tokens.gaps[i])
    # Sized for the tokens first, then for the distinct rows: names share their beginnings.
    keys, values = np.zeros(max(4, int(n / LOAD)), np.uint64), np.zeros(max(4, int(n / LOAD)), np.int32)
    none = Table(keys[:0], values[:0], np.zeros(1, np.uint8))
    name, at, distinct = 0, 0, 0
    for i in range(n):
        while at < tokens.starts[i]:
            name += codes[at] == 10
            at += 1
        slot = _slot(keys, rows[i])
        distinct += keys[slot] == 0
        if keys[slot] == 0:
            keys[slot] = rows[i]
        if i + 1 == n or tokens.gaps[i + 1] == GAP_BREAK:
            if not keys[slot] & _ONE:
                return none, name
            keys[slot], values[slot] = rows[i] ^ _ONE, name
    small = np.zeros(max(4, int(distinct / LOAD)), np.uint64)
    numbers = np.zeros(len(small), np.int32)
    for i in range(len(keys)):
        if keys[i]:
            slot = _slot(small, keys[i] | _ONE)
            small[slot], numbers[slot] = keys[i], values[i]
    size = 8
    while size * 8 < distinct * FILTER_BITS:
        size *= 2
    bits = np.zeros(size, np.uint8)
    for row in rows:
        bits[(row >> np.uint64(4)) & np.uint64(size - 1)] |= np.uint8(1) << np.uint8((row >> _ONE) & _SEVEN)
    return Table(small, numbers, bits), -1


@njit(cache=True, inline="always")
def _may_be_there(bits: UInt8s, row: np.uint64) -> int:
    """1 if the filter has the row's bit, else 0."""
    byte = bits[(row >> np.uint64(4)) & np.uint64(len(bits) - 1)]
    return int(byte >> np.uint8((row >> _ONE) & _SEVEN) & np.uint8(1))


@njit(cache=True, inline="always")
def _slot(keys: UInt64s, row: np.uint64) -> int:
    """Where the row is, or the empty slot where it would be."""
    at: int = np.int64(((row >> HALF) * np.uint64(len(keys))) >> HALF)  # type: ignore[assignment]
    while keys[at] | _ONE != row and keys[at] != np.uint64(0):
        at += 1
        if at == len(keys):
            at = 0
    return at


@njit(cache=True)
def _longest(codes: Codes, characters: Codes, particles: UInt64s, table: Table) -> Spots:
    tokens = tokenize(codes, characters, particles)
    n = len(tokens.starts)
    # The slot of the longest name from each token; its number is another cache miss, so it waits.
    slots, lasts = np.full(n, -1, np.int64), np.empty(n, np.int32)
    firsts, ends, rows = _single_rows(tokens, table.bits)
    while len(firsts):
        alive = 0
        for k in range(len(firsts)):
            slot, end = _slot(table.keys, rows[k]), ends[k]
            key = table.keys[slot]
            if key != np.uint64(0):
                if not key & _ONE and tokens.borders[end] & MAY_END:
                    slots[firsts[k]], lasts[firsts[k]] = slot, end
                alive = _keep(k, alive, tokens, firsts, ends, rows, table.bits)
        firsts, ends, rows = firsts[:alive], ends[:alive], rows[:alive]
    count, at = 0, 0
    begins = np.empty(n, np.int32)
    while at < n:
        if slots[at] >= 0:
            begins[count], at = at, lasts[at]
            count += 1
        at += 1
    first = begins[:count]
    last = lasts[first]
    return Spots(tokens.starts[first], tokens.ends[last], table.values[slots[first]], first, last)


@njit(cache=True)
def _every(tokens: Tokens, table: Table) -> Spots:
    firsts, ends, rows = _single_rows(tokens, table.bits)
    found = np.empty((2 * len(firsts) + 8, 3), np.int32)
    count = 0
    while len(firsts):
        alive = 0
        for k in range(len(firsts)):
            slot, end = _slot(table.keys, rows[k]), ends[k]
            key = table.keys[slot]
            if key != np.uint64(0):
                if not key & _ONE and tokens.borders[end] & MAY_END:
                    if count == len(found):
                        found = np.concatenate((found, np.empty_like(found)))
                    found[count, 0], found[count, 1], found[count, 2] = firsts[k], end, table.values[slot]
                    count += 1
                alive = _keep(k, alive, tokens, firsts, ends, rows, table.bits)
        firsts, ends, rows = firsts[:alive], ends[:alive], rows[:alive]
    # Each pass has found names of one length; a stable sort by first token leaves them by length.
    found = found[np.argsort(found[:count, 0], kind="mergesort")]
    first, last = found[:, 0].copy(), found[:, 1].copy()
    return Spots(tokens.starts[first], tokens.ends[last], found[:, 2].copy(), first, last)


@njit(cache=True)
def _single_rows(tokens: Tokens, bits: UInt8s) -> tuple[Int32s, Int32s, UInt64s]:
    """Rows of one token that may begin a name: first and last token, hash.

    All rows of one length are looked up before the next length's: the lookups wait for memory together.
    """
    n = len(tokens.starts)
    firsts, rows = np.empty(n, np.int32), np.empty(n, np.uint64)
    count = 0
    for i in range(n):
        row = _extended(START, tokens.hashes[i], NOTHING)
        firsts[count], rows[count] = i, row
        count += tokens.borders[i] & MAY_START & _may_be_there(bits, row)
    return firsts[:count], firsts[:count].copy(), rows[:count]


@njit(cache=True, inline="always")
def _keep(
    k: int, alive: int, tokens: Tokens, firsts: Int32s, ends: Int32s, rows: UInt64s, bits: UInt8s
) -> int:
    """Put the k-th row, longer by a token, at place `alive` if it may be known; the next place."""
    end = ends[k] + 1
    if end == len(tokens.starts) or tokens.gaps[end] == GAP_BREAK:
        return alive
    row = _extended(rows[k], tokens.hashes[end], tokens.gaps[end])
    firsts[alive], ends[alive], rows[alive] = firsts[k], end, row
    return alive + _may_be_there(bits, row)
