"""Tokens of the spotter: words, or single characters where a script has no spaces, with their hashes."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kgcorpus.contracts.arrays import Int32s, Int64s, UInt8s, UInt64s
from kgcorpus.contracts.scripts import KOREAN_PARTICLES
from kgcorpus.kg.compiled import njit
from kgcorpus.linking.characters import (
    BREAK,
    CLASS_BITS,
    IGNORED,
    MARK,
    SINGLE,
    SYLLABLE,
    WORD,
    Codes,
    codes_of,
)

_CLASS = np.uint32((1 << CLASS_BITS) - 1)
_SHIFT = np.uint32(CLASS_BITS)
HALF = np.uint64(32)
START = np.uint64(0x9E3779B97F4A7C15)
STEP = np.uint64(0x9FB21C651E98DF25)
MIX = np.uint64(0xBF58476D1CE4E5B9)
_LONGEST_PARTICLE = 6
# Bits of a token's `borders`.
MAY_START, MAY_END = np.uint8(1), np.uint8(2)
# What precedes a token.
NOTHING, SPACE, GAP_BREAK = np.uint8(0), np.uint8(1), np.uint8(2)


class Tokens(NamedTuple):
    """[n] a text's tokens: spans in code points, hashes, what precedes each, and whether names may
    start and end with it."""

    starts: Int32s
    ends: Int32s
    hashes: UInt64s
    gaps: UInt8s
    borders: UInt8s


@njit(cache=True)
def marks(codes: Codes, characters: Codes) -> Int64s:
    """Positions of the combining marks in a text [n]; `characters` as of `character_table`."""
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
def mixed(x: np.uint64) -> np.uint64:
    """Return a hash of 64 bits; a bijection."""
    x = (x ^ (x >> np.uint64(29))) * MIX
    return x ^ (x >> np.uint64(32))


@lru_cache(maxsize=1)
def particle_hashes() -> UInt64s:
    """Hashes of the Korean particles and of pairs of them, ascending."""
    one = KOREAN_PARTICLES
    rows = {*one, *(a + b for a in one for b in one)}
    return np.sort(np.array([hash_of_word(codes_of(row)) for row in rows], np.uint64))


@njit(cache=True)
def hash_of_word(codes: Codes) -> np.uint64:
    """Hash the code points of a word."""
    state = START
    for code in codes:
        state = mixed(state ^ np.uint64(code))
    return state


@njit(cache=True)
def tokenize(codes: Codes, characters: Codes, particles: UInt64s) -> Tokens:
    """Cut a text into tokens.

    Args:
        codes: [n] code points of the text in NFC.
        characters: [0x110000] of `character_table`.
        particles: of `particle_hashes`.
    """
    n = len(codes)
    starts, ends = np.empty(n, np.int32), np.empty(n, np.int32)
    hashes = np.empty(n, np.uint64)
    gaps, borders = np.empty(n, np.uint8), np.empty(n, np.uint8)
    count, at = 0, 0
    gap = GAP_BREAK
    in_word = False  # the token before ends in a letter, with nothing between them
    word, syllables = 0, False  # the first token of the written word, and whether it has Korean syllables
    while at < n:
        packed = characters[codes[at]]
        kind = packed & _CLASS
        if kind <= IGNORED:
            if kind != IGNORED:
                gap = max(gap, GAP_BREAK if kind == BREAK else SPACE)
                in_word = False
            at += 1
            continue
        start, end, state = at, at, START
        spelt = kind in (MARK, WORD)
        while True:
            if kind != IGNORED:
                state = (state ^ np.uint64(packed >> _SHIFT)) * STEP
                state ^= state >> HALF
                end = at + 1
            at += 1
            if at == n:
                break
            packed = characters[codes[at]]
            kind = packed & _CLASS
            if not (kind in (MARK, IGNORED) or (kind == WORD and spelt)):
                break
        first = characters[codes[start]] & _CLASS
        inside = in_word and gap == NOTHING and first != SINGLE
        if not inside:
            if syllables:
                _end_word(word, count, starts, ends, borders, codes, particles)
            word, syllables = count, False
        syllables |= inside or first == SYLLABLE
        starts[count], ends[count], hashes[count], gaps[count] = start, end, state, gap
        borders[count] = MAY_END if inside else MAY_START | MAY_END
        count += 1
        gap, in_word = NOTHING, first != SINGLE
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
        borders[token] &= ~MAY_END
        if rest == 0:
            borders[token] |= MAY_END
        elif rest <= _LONGEST_PARTICLE:
            state = hash_of_word(codes[ends[token] : end])
            place = np.searchsorted(particles, state)
            if place < len(particles) and particles[place] == state:
                borders[token] |= MAY_END
