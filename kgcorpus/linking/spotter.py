"""Every place of a text where a known name stands: a hash dictionary of token prefixes, in mapped files.

A text is a row of tokens; a name stands where its tokens do, with spaces where it has spaces. The hash of a
row of tokens is made from that of the row without the last, so that a text is read once: from each token the
rows grow while the dictionary knows them as the beginning of a name. A lookup that fails is one cache miss.

Two names whose 64-bit hashes are equal stop the build. A row of tokens that is no name and has a name's hash
is expected once in 10^12 lookups at 5 million names.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.kg.arrays import Folder, Group
from kgcorpus.linking.characters import (
    BREAK,
    CLASS_BITS,
    IGNORED,
    MARK,
    SINGLE,
    SYLLABLE,
    WORD,
    Codes,
    character_table,
    codes_of,
    composed,
)

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
UInt8s = NDArray[np.uint8]

LOAD = 0.6  # share of the slots that are taken
_CLASS = np.uint32((1 << CLASS_BITS) - 1)
_SHIFT = np.uint32(CLASS_BITS)
_HALF = np.uint64(32)
_START = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0x9FB21C651E98DF25)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SPACED = np.uint64(0xD6E8FEB86659FD93)
# What Korean writes onto a noun, one or two of them.
_PARTICLES = (
    "은 는 이 가 을 를 의 에 에서 에게 에게서 께 께서 한테 도 만 로 으로 와 과 랑 이랑 나 이나 라 이라"
    " 란 이란 인 보다 부터 까지 처럼 마다 조차 밖에 이다 였다 이었다 이며 이고 고 들"
)
_LONGEST_PARTICLE = 6
# Bits of a token's `borders`.
_MAY_START, _MAY_END = np.uint8(1), np.uint8(2)
# What stands before a token.
_NOTHING, _SPACE, _BREAK = np.uint8(0), np.uint8(1), np.uint8(2)


class Tokens(NamedTuple):
    """[n] a text's tokens: spans in code points, hashes, what stands before each, and whether names may
    start and end with it."""

    starts: Int32s
    ends: Int32s
    hashes: UInt64s
    gaps: UInt8s
    borders: UInt8s


class Spots(NamedTuple):
    """[m] places of names: spans in code points, the names' numbers, and first and last tokens."""

    starts: Int32s
    ends: Int32s
    names: Int32s
    first: Int32s
    last: Int32s


class Spotter:
    """The dictionary.

    Args:
        keys: [slots] hashes of rows of tokens, 0 for an empty slot.
        values: [slots] a name's number + 1, or 0 for a row that only begins names.
        characters: [0x110000] what `character_table` gave when the dictionary was built.
    """

    def __init__(self, keys: UInt64s, values: Int32s, characters: Codes) -> None:
        self._keys, self._values, self._characters = keys, values, characters

    @classmethod
    def build(cls, names: Sequence[str]) -> "Spotter":
        """Index distinct names, each as `normalise` gives it; one without tokens is never found.

        Raises:
            KgcorpusError: two names have one hash: they are equal, or not normalised.
        """
        characters = character_table()
        codes = codes_of("\n".join(names))
        keys, values, clash = _build(_tokens(codes, characters, _particle_hashes()), codes, len(names))
        if clash >= 0:
            raise KgcorpusError(f"the name {names[clash]!r} is given twice", where="spotter")
        return cls(keys, values, characters)

    def save(self, folder: Path) -> None:
        """Write the arrays as .npy files."""
        arrays: Group = {"keys": self._keys, "values": self._values, "characters": self._characters}
        Folder(folder).put("spotter", arrays)

    @classmethod
    def open(cls, folder: Path) -> "Spotter":
        """Map what `save` wrote; all processes of a machine share the memory."""
        return cls(**Folder(folder).get("spotter"))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self._keys.nbytes + self._values.nbytes + self._characters.nbytes

    def tokens(self, text: str) -> Tokens:
        """The text's tokens."""
        codes = codes_of(text)
        text, places = composed(text, _marks(codes, self._characters))
        tokens = _tokens(codes if places is None else codes_of(text), self._characters, _particle_hashes())
        if places is None:
            return tokens
        starts, ends = (places[at].astype(np.int32) for at in (tokens.starts, tokens.ends))
        return tokens._replace(starts=starts, ends=ends)

    def longest(self, text: str) -> Spots:
        """Disjoint spots: from the left, at each token the longest name."""
        return _longest(self.tokens(text), self._keys, self._values)

    def find(self, name: str) -> int:
        """The number of a name, -1 for one that is not there."""
        tokens = self.tokens(name)
        spots = self.every(tokens)
        whole = (spots.first == 0) & (spots.last == len(tokens.starts) - 1)
        return int(spots.names[whole][0]) if whole.any() else -1

    def every(self, tokens: Tokens) -> Spots:
        """All spots, also those inside others, by first token and then by length."""
        return _every(tokens, self._keys, self._values)


@njit(cache=True)
def _marks(codes: Codes, characters: Codes) -> Int64s:
    count = 0
    for code in codes:
        count += characters[code] & _CLASS == MARK
    found = np.empty(count, np.int64)
    if count:
        count = 0
        for at in range(len(codes)):
            if characters[codes[at]] & _CLASS == MARK:
                found[count] = at
                count += 1
    return found


@njit(cache=True, inline="always")
def _mixed(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> np.uint64(29))) * _MIX
    return x ^ (x >> np.uint64(32))


@njit(cache=True, inline="always")
def _extended(row: np.uint64, token: np.uint64, gap: np.uint8) -> np.uint64:
    """The hash of a row with one more token; never 0, which marks empty slots."""
    if gap == _SPACE:
        token ^= _SPACED
    found = _mixed((row + _STEP) * _MIX ^ token)
    return found if found != np.uint64(0) else np.uint64(1)


@lru_cache(maxsize=1)
def _particle_hashes() -> UInt64s:
    one = _PARTICLES.split()
    rows = {*one, *(a + b for a in one for b in one)}
    return np.sort(np.array([_row_of(codes_of(row)) for row in rows], np.uint64))


@njit(cache=True)
def _row_of(codes: Codes) -> np.uint64:
    state = _START
    for code in codes:
        state = _mixed(state ^ np.uint64(code))
    return state


@njit(cache=True)
def _tokens(codes: Codes, characters: Codes, particles: UInt64s) -> Tokens:
    n = len(codes)
    starts, ends = np.empty(n, np.int32), np.empty(n, np.int32)
    hashes = np.empty(n, np.uint64)
    gaps, borders = np.empty(n, np.uint8), np.empty(n, np.uint8)
    count, at = 0, 0
    gap = _BREAK
    in_word = False  # the token before ends in a letter, and nothing stands between
    word, syllables = 0, False  # the first token of the written word, and whether it has Korean syllables
    while at < n:
        packed = characters[codes[at]]
        kind = packed & _CLASS
        if kind <= IGNORED:
            if kind != IGNORED:
                gap = max(gap, _BREAK if kind == BREAK else _SPACE)
                in_word = False
            at += 1
            continue
        start, end, state = at, at, _START
        spelt = kind in (MARK, WORD)
        while True:
            if kind != IGNORED:
                state = (state ^ np.uint64(packed >> _SHIFT)) * _STEP
                state ^= state >> _HALF
                end = at + 1
            at += 1
            if at == n:
                break
            packed = characters[codes[at]]
            kind = packed & _CLASS
            if not (kind in (MARK, IGNORED) or (kind == WORD and spelt)):
                break
        first = characters[codes[start]] & _CLASS
        inside = in_word and gap == _NOTHING and first != SINGLE
        if not inside:
            if syllables:
                _end_word(word, count, starts, ends, borders, codes, particles)
            word, syllables = count, False
        syllables |= inside or first == SYLLABLE
        starts[count], ends[count], hashes[count], gaps[count] = start, end, state, gap
        borders[count] = _MAY_END if inside else _MAY_START | _MAY_END
        count += 1
        gap, in_word = _NOTHING, first != SINGLE
    if syllables:
        _end_word(word, count, starts, ends, borders, codes, particles)
    return Tokens(starts[:count], ends[:count], hashes[:count], gaps[:count], borders[:count])


@njit(cache=True)
def _end_word(
    word: int,
    count: int,
    starts: Int32s,
    ends: Int32s,
    borders: UInt8s,
    codes: Codes,
    particles: UInt64s,
) -> None:
    """In a word with Korean syllables, names may end at its end and before particles."""
    end = ends[count - 1]
    for token in range(word, count):
        rest = end - ends[token]
        borders[token] &= ~_MAY_END
        if rest == 0:
            borders[token] |= _MAY_END
        elif rest <= _LONGEST_PARTICLE:
            state = _row_of(codes[ends[token] : end])
            place = np.searchsorted(particles, state)
            if place < len(particles) and particles[place] == state:
                borders[token] |= _MAY_END


@njit(cache=True)
def _build(tokens: Tokens, codes: Codes, names: int) -> tuple[UInt64s, Int32s, int]:
    """Keys and values, and -1 or the number of a name that is in already. Each line of `codes` is a name."""
    n = len(tokens.starts)
    rows = np.empty(n, np.uint64)
    for i in range(n):
        row = _START if tokens.gaps[i] == _BREAK else rows[i - 1]
        rows[i] = _extended(row, tokens.hashes[i], _NOTHING if tokens.gaps[i] == _BREAK else tokens.gaps[i])
    # Sized for the tokens first, then for the distinct rows: names share their beginnings.
    keys, values = np.zeros(max(4, int(n / LOAD)), np.uint64), np.zeros(max(4, int(n / LOAD)), np.int32)
    name, at, distinct = 0, 0, 0
    for i in range(n):
        while at < tokens.starts[i]:
            name += codes[at] == 10
            at += 1
        slot = _slot(keys, rows[i])
        distinct += keys[slot] == 0
        keys[slot] = rows[i]
        if i + 1 == n or tokens.gaps[i + 1] == _BREAK:
            if values[slot]:
                return keys, values, name
            values[slot] = name + 1
    small = np.zeros(max(4, int(distinct / LOAD)), np.uint64)
    marks = np.zeros(len(small), np.int32)
    for i in range(len(keys)):
        if keys[i]:
            slot = _slot(small, keys[i])
            small[slot], marks[slot] = keys[i], values[i]
    return small, marks, -1


@njit(cache=True, inline="always")
def _slot(keys: UInt64s, row: np.uint64) -> int:
    """Where the row is, or the empty slot where it would be."""
    at: int = np.int64(((row >> _HALF) * np.uint64(len(keys))) >> _HALF)  # type: ignore[assignment]
    while keys[at] != row and keys[at] != np.uint64(0):
        at += 1
        if at == len(keys):
            at = 0
    return at


@njit(cache=True)
def _longest(tokens: Tokens, keys: UInt64s, values: Int32s) -> Spots:
    n = len(tokens.starts)
    names, lasts = np.zeros(n, np.int32), np.empty(n, np.int32)
    firsts, ends, rows = _single_rows(tokens)
    while len(firsts):
        alive = 0
        for k in range(len(firsts)):
            slot, end = _slot(keys, rows[k]), ends[k]
            if keys[slot] != np.uint64(0):
                if values[slot] and tokens.borders[end] & _MAY_END:
                    names[firsts[k]], lasts[firsts[k]] = values[slot], end
                alive = _keep(k, alive, tokens, firsts, ends, rows)
        firsts, ends, rows = firsts[:alive], ends[:alive], rows[:alive]
    count, at = 0, 0
    begins = np.empty(n, np.int32)
    while at < n:
        if names[at]:
            begins[count], at = at, lasts[at]
            count += 1
        at += 1
    first = begins[:count]
    last = lasts[first]
    return Spots(tokens.starts[first], tokens.ends[last], names[first] - np.int32(1), first, last)


@njit(cache=True)
def _every(tokens: Tokens, keys: UInt64s, values: Int32s) -> Spots:
    firsts, ends, rows = _single_rows(tokens)
    found = np.empty((2 * len(firsts) + 8, 3), np.int32)
    count = 0
    while len(firsts):
        alive = 0
        for k in range(len(firsts)):
            slot, end = _slot(keys, rows[k]), ends[k]
            if keys[slot] != np.uint64(0):
                if values[slot] and tokens.borders[end] & _MAY_END:
                    if count == len(found):
                        found = np.concatenate((found, np.empty_like(found)))
                    found[count, 0], found[count, 1], found[count, 2] = firsts[k], end, values[slot] - 1
                    count += 1
                alive = _keep(k, alive, tokens, firsts, ends, rows)
        firsts, ends, rows = firsts[:alive], ends[:alive], rows[:alive]
    # Each pass has found names of one length; a stable sort by first token leaves them by length.
    found = found[np.argsort(found[:count, 0], kind="mergesort")]
    first, last = found[:, 0].copy(), found[:, 1].copy()
    return Spots(tokens.starts[first], tokens.ends[last], found[:, 2].copy(), first, last)


@njit(cache=True)
def _single_rows(tokens: Tokens) -> tuple[Int32s, Int32s, UInt64s]:
    """Rows of one token: first and last token, hash.

    All rows of one length are looked up before the next length's: the lookups wait for memory together.
    """
    n = len(tokens.starts)
    firsts, rows = np.empty(n, np.int32), np.empty(n, np.uint64)
    count = 0
    for i in range(n):
        firsts[count], rows[count] = i, _extended(_START, tokens.hashes[i], _NOTHING)
        count += tokens.borders[i] & _MAY_START
    return firsts[:count], firsts[:count].copy(), rows[:count]


@njit(cache=True, inline="always")
def _keep(k: int, alive: int, tokens: Tokens, firsts: Int32s, ends: Int32s, rows: UInt64s) -> int:
    """Put the k-th row, longer by a token, at place `alive`, unless the line ends; the next place."""
    end = ends[k] + 1
    if end == len(tokens.starts) or tokens.gaps[end] == _BREAK:
        return alive
    rows[alive] = _extended(rows[k], tokens.hashes[end], tokens.gaps[end])
    firsts[alive], ends[alive] = firsts[k], end
    return alive + 1
