"""Compiled string operations on Arrow's buffers: stable hashes, lookup of ids, sentences from names.

A column of n strings is its offsets [n + 1] into its UTF-8 bytes.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, Int64s, UInt8s, UInt64s
from kgcorpus.contracts.draws import mix64_array
from kgcorpus.kg.compiled import njit
from kgcorpus.kg.intrinsics import copy_bytes, prefetch

_AHEAD = 24  # pieces
_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)


class Column(NamedTuple):
    """A string column's buffers."""

    offsets: Int64s
    data: UInt8s


def column_of(strings: pa.Array) -> Column:
    """The buffers of a string array, nulls as empty strings; 64-bit offsets are not copied."""
    strings = strings.cast(pa.large_string())
    _, offsets, data = strings.buffers()
    ends = np.frombuffer(offsets if len(strings) else bytes(8), np.int64)
    column = Column(
        ends[strings.offset : strings.offset + len(strings) + 1], np.frombuffer(data or b"", np.uint8)
    )
    for part in column:
        part.flags.writeable = False  # compiled code takes arrays of one kind, and mapped ones are read-only
    return column


def hash_strings(strings: pa.Array) -> UInt64s:
    """[n] 64-bit hashes of the strings' bytes, the same on every machine."""
    return _hashes(*column_of(strings))


def hash_rows(*columns: pa.Array, start: int = 0) -> UInt64s:
    """[n] 64-bit hashes of the rows of columns of strings or 64-bit integers.

    Args:
        start: of the hash, such as a seed's.
    """
    found = np.full(len(columns[0]), np.uint64(start))
    for column in columns:
        own = column.to_numpy().view(np.uint64) if pa.types.is_int64(column.type) else hash_strings(column)
        found = mix64_array(found ^ own)
    return found


def string_arrays(strings: pa.Array) -> tuple[Int64s, UInt8s]:
    """A string array as its offsets, from 0, and its bytes."""
    offsets, data = column_of(strings)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def strings_of(offsets: Int64s, data: UInt8s) -> pa.LargeStringArray:
    """The inverse of `string_arrays`; nothing is copied."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def pair_keys(a: pa.Array, b: pa.Array) -> UInt64s:
    """[n] hashes of the unordered pairs of strings."""
    return mix64_array(hash_strings(a)) + mix64_array(hash_strings(b))


def hex_digits(values: UInt64s) -> UInt8s:
    """[n, 16] hexadecimal digits."""
    return _DIGITS[values.astype(">u8").view(np.uint8)].reshape(len(values), 16)


def prefixed(prefix: str, digits: UInt8s) -> pa.StringArray:
    """[n] strings of one length: the prefix and each row of the digits [n, k]."""
    first = np.frombuffer(prefix.encode(), np.uint8)
    n, size = len(digits), len(first) + digits.shape[1]
    text = np.empty((n, size), np.uint8)
    text[:, : len(first)], text[:, len(first) :] = first, digits
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(size)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text))


class IdIndex:
    """From ids to their places in a column of distinct ids: a hash table of 64-bit places, no id copied."""

    def __init__(self, ids: pa.Array) -> None:
        self._ids = column_of(ids)
        self._table = _place_all(_hashes(*self._ids))

    def find(self, ids: pa.Array) -> Int64s:
        """[n] places, -1 for an id that is not there."""
        return _find(self._table, *self._ids, *column_of(ids))


@njit(cache=True, inline="always")
def _mix(x: np.uint64) -> np.uint64:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def _hash(data: UInt8s, start: int, end: int) -> np.uint64:
    """Mix in eight bytes at a time, after the length: a bijection for strings of up to eight bytes."""
    state = _mix(np.uint64(end - start))
    for at in range(start, end, 8):
        word = np.uint64(0)
        for k in range(min(8, end - at)):
            word |= np.uint64(data[at + k]) << np.uint64(8 * k)
        state = _mix(state ^ word)
    return state


@njit(cache=True)
def _hashes(offsets: Int64s, data: UInt8s) -> UInt64s:
    found = np.empty(len(offsets) - 1, np.uint64)
    for i in range(len(found)):
        found[i] = _hash(data, offsets[i], offsets[i + 1])
    return found


@njit(cache=True)
def _place_all(hashes: UInt64s) -> Int64s:
    size = 4
    while size < 2 * len(hashes):
        size *= 2
    table = np.full(size, -1, np.int64)
    last = np.uint64(size - 1)
    for i in range(len(hashes)):
        at = hashes[i] & last
        while table[at] >= 0:
            at = (at + np.uint64(1)) & last
        table[at] = i
    return table


@njit(cache=True)
def _find(table: Int64s, id_offsets: Int64s, id_data: UInt8s, offsets: Int64s, data: UInt8s) -> Int64s:
    found = np.full(len(offsets) - 1, -1, np.int64)
    last = np.uint64(len(table) - 1)
    for i in range(len(found)):
        start, size = offsets[i], offsets[i + 1] - offsets[i]
        at = _hash(data, start, start + size) & last
        while table[at] >= 0:
            place = table[at]
            first = id_offsets[place]
            if id_offsets[place + 1] - first == size:
                k = 0
                while k < size and id_data[first + k] == data[start + k]:
                    k += 1
                if k == size:
                    found[i] = place
                    break
            at = (at + np.uint64(1)) & last
    return found


@njit(cache=True)
def place_names(
    labels: Int64s,
    alias_bounds: Int64s,
    aliases: Int64s,
    rows: Int64s,
    as_alias: NDArray[np.bool_],
    draws: UInt64s,
    source: int,
    at: Int64s,
    starts: Int64s,
    ends: Int64s,
    sources: NDArray[np.int16],
) -> None:
    """Write the bytes of n items' names, in one language, to `starts`, `ends` and `sources`.

    Args:
        labels, aliases: offsets of the two columns, which are numbers `source` and `source + 1`.
        alias_bounds: [N + 1] an id's first place in `aliases`.
        rows: [n] the items' ids, as rows of both columns.
        as_alias: [n] whether a random alias is written, or the label where there is none.
        draws: [n] 20 random bits, which choose the alias.
        at: [n] the items' places among the pieces.
        starts, ends, sources: [pieces] what `join_pieces` reads.
    """
    for i in range(len(rows)):
        row, place = rows[i], at[i]
        first = alias_bounds[row]
        known = alias_bounds[row + 1] - first if as_alias[i] else 0
        if known:
            alias = first + (np.int64(draws[i]) * known >> 20)
            starts[place], ends[place], sources[place] = aliases[alias], aliases[alias + 1], source + 1
        else:
            starts[place], ends[place], sources[place] = labels[row], labels[row + 1], source


@njit(cache=True)
def join_pieces(
    starts: Int64s,
    ends: Int64s,
    sources: NDArray[np.int16],
    addresses: Int64s,
    bounds: Int32s,
    glue: Column,
) -> tuple[Int32s, UInt8s, Int32s, Int32s]:
    """Join the pieces of each row: three to a sentence, each followed by glue.

    Args:
        starts, ends: [pieces] the pieces' bytes.
        sources: [pieces] index into `addresses` (of the buffers with the names) for each piece.
        bounds: [n + 1] each row's first piece.
        glue: three strings, at the last of the addresses: within a sentence, between two, and at a row's end.

    Returns:
        Text offsets [n + 1] and bytes, and where the pieces start and end [pieces], in code points of their
        row.
    """
    n, pieces = len(bounds) - 1, len(starts)
    sizes = (glue.offsets[1], glue.offsets[2] - glue.offsets[1], glue.offsets[3] - glue.offsets[2])
    offsets = np.empty(n + 1, np.int32)
    offsets[0] = 0
    total = 0
    for i in range(n):
        k = bounds[i + 1] - bounds[i]
        for p in range(bounds[i], bounds[i + 1]):
            total += ends[p] - starts[p]
        total += 2 * k // 3 * sizes[0] + (k // 3 - 1) * sizes[1] + sizes[2]
        offsets[i + 1] = total
    text = np.empty(total, np.uint8)
    at = 0
    for i in range(n):
        for p in range(bounds[i], bounds[i + 1]):
            ahead = min(p + _AHEAD, pieces - 1)
            prefetch(addresses[sources[ahead]] + starts[ahead])
            size = ends[p] - starts[p]
            copy_bytes(text, at, addresses[sources[p]] + starts[p], size)
            at += size
            kind = _glue_after(p - bounds[i], bounds[i + 1] - bounds[i])
            copy_bytes(text, at, addresses[-1] + glue.offsets[kind], sizes[kind])
            at += sizes[kind]
    # Counted apart, from bytes just written: counting while copying would wait for each name's cache miss.
    first, last = np.empty(pieces, np.int32), np.empty(pieces, np.int32)
    for i in range(n):
        at = int(offsets[i])
        row = text[at : offsets[i + 1]]
        is_ascii = _code_points(row) == len(row)
        points = 0
        for p in range(bounds[i], bounds[i + 1]):
            end = at + ends[p] - starts[p]
            first[p] = points
            points += end - at if is_ascii else _code_points(text[at:end])
            last[p] = points
            size = sizes[_glue_after(p - bounds[i], bounds[i + 1] - bounds[i])]
            points += size  # glue is ASCII
            at = end + size
    return offsets, text, first, last


@njit(cache=True, inline="always")
def _glue_after(place: int, pieces: int) -> int:
    """Which glue follows the piece at this place of a row of so many."""
    if place % 3 < 2:
        return 0
    return 1 if place + 1 < pieces else 2


@njit(cache=True, inline="always")
def _code_points(text: UInt8s) -> int:
    points = 0
    for byte in text:
        if np.int8(byte) >= -64:  # bytes other than 10xxxxxx, which continue a code point
            points += 1
    return points
