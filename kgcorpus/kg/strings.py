"""Compiled passes over Arrow's own string buffers: stable hashes, lookup of ids, sentences out of names.

A column of n strings is its offsets [n + 1] into its UTF-8 bytes.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, Int64s, UInt8s, UInt64s
from kgcorpus.kg.compiled import njit
from kgcorpus.kg.intrinsics import copy_bytes, prefetch

_AHEAD = 8  # rows
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
    chosen: NDArray[np.bool_],
    draws: UInt64s,
    source: int,
    starts: Int64s,
    ends: Int64s,
    sources: NDArray[np.int8],
) -> None:
    """Write down where the chosen items' names lie: a label, and an alias or else the label again.

    Args:
        labels, aliases: offsets of the two columns, which are numbers `source` and `source + 1`.
        alias_bounds: [N + 1] an id's first place in `aliases`.
        rows, chosen, draws: [n] an item's id, whether it is written in this language, and 20 random bits.
        starts, ends, sources: [2, n] what `join_pieces` reads, for the label and for the alias.
    """
    for i in range(len(rows)):
        if not chosen[i]:
            continue
        row = rows[i]
        start, end, held = labels[row], labels[row + 1], source
        starts[0, i], ends[0, i], sources[0, i] = start, end, held
        first = alias_bounds[row]
        known = alias_bounds[row + 1] - first
        if known:
            alias = first + (np.int64(draws[i]) * known >> 20)
            start, end, held = aliases[alias], aliases[alias + 1], source + 1
        starts[1, i], ends[1, i], sources[1, i] = start, end, held


@njit(cache=True)
def join_pieces(
    starts: Int64s, ends: Int64s, sources: NDArray[np.int8], addresses: Int64s, glue: Column
) -> tuple[Int32s, UInt8s, Int32s, Int32s]:
    """Write each row as its k pieces, the j-th followed by the j-th string of `glue`.

    Args:
        starts, ends: [n, k] the pieces' bytes.
        sources: [n, k] from which of the `addresses`, where names lie in memory, a piece is counted.
        glue: its bytes lie at the last of the addresses.

    Returns:
        Text offsets [n + 1] and bytes, and where the pieces start and end [n * k], in code points of their
        row.
    """
    n, k = starts.shape
    offsets = np.empty(n + 1, np.int32)
    offsets[0] = 0
    total = 0
    for i in range(n):
        for j in range(k):
            total += ends[i, j] - starts[i, j]
        total += len(glue.data)
        offsets[i + 1] = total
    text = np.empty(total, np.uint8)
    at = 0
    for i in range(n):
        ahead = min(i + _AHEAD, n - 1)
        for j in range(k):
            prefetch(addresses[sources[ahead, j]] + starts[ahead, j])
        for j in range(k):
            size = ends[i, j] - starts[i, j]
            copy_bytes(text, at, addresses[sources[i, j]] + starts[i, j], size)
            at += size
            size = glue.offsets[j + 1] - glue.offsets[j]
            copy_bytes(text, at, addresses[-1] + glue.offsets[j], size)
            at += size
    # Counted apart, from bytes just written: counting while copying would wait for each name's cache miss.
    first, last = np.empty(n * k, np.int32), np.empty(n * k, np.int32)
    for i in range(n):
        at = int(offsets[i])
        row = text[at : offsets[i + 1]]
        ascii_alone = _code_points(row) == len(row)
        points = 0
        for j in range(k):
            end = at + ends[i, j] - starts[i, j]
            first[i * k + j] = points
            points += end - at if ascii_alone else _code_points(text[at:end])
            last[i * k + j] = points
            at = end + glue.offsets[j + 1] - glue.offsets[j]
            points += at - end if ascii_alone else _code_points(text[end:at])
    return offsets, text, first, last


@njit(cache=True, inline="always")
def _code_points(text: UInt8s) -> int:
    points = 0
    for byte in text:
        if np.int8(byte) >= -64:  # all but the bytes 10xxxxxx, which go on with a code point
            points += 1
    return points
