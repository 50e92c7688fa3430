"""Packs records into rows: best fit decreasing, one attention block and one count of positions a record."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Packed:
    """Records side by side in rows.

    Attributes:
        ids: [rows, length], pads where no record is.
        segments: [rows, length], 0 at pads, else 1, 2, ... by record within the row.
        positions: [rows, length], from 0 within each record; 0 at pads.
        flat: [tokens], the index in the flattened rows of each token of the records, in the order given.
    """

    ids: NDArray[np.int64]
    segments: NDArray[np.int32]
    positions: NDArray[np.int64]
    flat: NDArray[np.int64]


def pack(ids: NDArray[np.int32], sizes: NDArray[np.int64], *, length: int, pad: int) -> Packed:
    """Put each record into the fullest row that still has room for it, the longest records first.

    Args:
        ids: [tokens], one record after the other.
        sizes: [records], tokens of each, at most `length`.
        length: tokens of a row.
        pad: id of the padding token.
    """
    row, column, segment, rows = _assign(sizes, length)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    flat = np.repeat(row * length + column, sizes) + within
    packed_ids = np.full(rows * length, pad, np.int64)
    segments = np.zeros(rows * length, np.int32)
    positions = np.zeros(rows * length, np.int64)
    packed_ids[flat] = ids
    segments[flat] = np.repeat(segment, sizes)
    positions[flat] = within
    shape = (rows, length)
    return Packed(packed_ids.reshape(shape), segments.reshape(shape), positions.reshape(shape), flat)


def _assign(
    sizes: NDArray[np.int64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int]:
    """Each record's row, first column and segment, and the number of rows."""
    row = np.zeros(len(sizes), np.int64)
    column = np.zeros(len(sizes), np.int64)
    segment = np.zeros(len(sizes), np.int32)
    # Rows by the room left in them; bit r of `rooms` says that there is one with room r, so that the
    # tightest fit is one shift away.
    by_room: list[list[int]] = [[] for _ in range(length + 1)]
    rooms = 0
    filled: list[int] = []
    for i in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[i])
        fitting = rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            chosen = by_room[room].pop()
            if not by_room[room]:
                rooms &= ~(1 << room)
        else:
            room, chosen = length, len(filled)
            filled.append(0)
        filled[chosen] += 1
        row[i], column[i], segment[i] = chosen, length - room, filled[chosen]
        by_room[room - size].append(chosen)
        rooms |= 1 << (room - size)
    return row, column, segment, len(filled)
