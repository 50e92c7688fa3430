"""Reads the token files of one split without end, in an order drawn for each epoch, with exact resume."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.shards import damage_named
from kgcorpus.tokens import REMADE_BY

# Special tokens around a text: one before it and one behind it, as BERT, RoBERTa and XLM-R have them.
_FRAME = 2


class Record(NamedTuple):
    """A tokenised record; a tuple, for it is made a hundred thousand times a second.

    Attributes:
        ids: [tokens], special tokens included.
        kind: `plain`, or the shard's kind.
        slot, sentence: [tokens], as `kgcorpus.tokens.tokenize_rows` says; all 0 and -1 in plain text.
        epoch: how often the stream had been read to its end before.
    """

    id: str
    kind: str
    ids: NDArray[np.int32]
    slot: NDArray[np.int8]
    sentence: NDArray[np.int16]
    epoch: int


@dataclass(frozen=True, slots=True)
class MentionRecord:
    """A tokenised passage with the entities it mentions.

    Attributes:
        ids: [tokens], special tokens included.
        sentences: {start, end} in tokens; empty where the shard has none.
        mentions: the shard's own structs, with start and end in tokens.
        epoch: how often the stream had been read to its end before.
    """

    id: str
    ids: NDArray[np.int32]
    sentences: list[dict[str, int]]
    mentions: list[dict[str, Any]]
    epoch: int


RecordT = TypeVar("RecordT", Record, MentionRecord)


class ShardStream(Generic[RecordT]):
    """The records of one split, epoch after epoch.

    An epoch visits the row groups in a drawn order and each one's rows in a drawn order. Every rank walks the
    same global order and keeps each `world`-th record of what is asked for, so all ranks take equal steps,
    read disjoint records, and a state holds for any number of ranks.

    Args:
        files: token files of one shard config. Those with mentions give `MentionRecord`s.
        name: names the stream's draws.
        seed: of the order.
        max_length: tokens of a record at most. Longer plain text is cut into pieces of nearly equal length,
            each a record (`id`, `id#1`, ...) with the special tokens of the text around it. A longer record
            with slots is left out. A longer passage with mentions loses its end and the mentions there. The
            plain text that is read is the one whose passages were made for the largest length up to this.
        rank, world: which share of the records is returned.
        language_exponent: a language with n records has a share of n^exponent in an epoch (XLM-R, section
            3.1: .3 of XLM); its records are left out or repeated, by a choice of each epoch; the epoch keeps
            its length on average. 1: each record once. A repetition has an id of its own, `id~1`.

    Attributes:
        rows: records of an epoch, before language sampling.
        dropped: records of an epoch left out for their length.
        cut: texts of an epoch cut for their length.
        lost: share of an epoch's tokens that are not read, for these two reasons.

    Raises:
        InputError: a file is damaged; also of `take` and `load_state`.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        name: str,
        seed: int,
        max_length: int,
        rank: int = 0,
        world: int = 1,
        language_exponent: float = 1.0,
    ) -> None:
        self._name, self._seed, self._max_length = name, seed, max_length
        self._rank, self._world = rank, world
        opened = [_TokenFile(file) for file in files]
        columns = {name for file in opened for name in file.columns}
        self._slotted, self._by_length = "slot" in columns, "length" in columns
        self._recut = not self._slotted and "mentions" not in columns
        self._groups = [(file, group) for file in opened for group in range(file.groups)]
        self._passage_length = self._choose_passages() if self._by_length else None
        languages: Counter[str] = Counter()
        long = total = lost = 0
        for file, group in self._groups:
            table = file.read(group, ["lang", "tokens", *["length"] * self._by_length])
            tokens = table["tokens"].to_numpy()[self._chosen(table)].astype(np.int64)
            over = tokens[tokens > max_length]
            long, total = long + len(over), total + int(tokens.sum())
            if not self._recut:
                lost += int(over.sum() if self._slotted else (over - max_length).sum())
            languages.update(table["lang"].take(self._usable(table)[:, 0]).to_pylist())
        self.rows, self.lost = languages.total(), lost / max(1, total)
        self.dropped, self.cut = (long, 0) if self._slotted else (0, long)
        self._copies = _expected_copies(languages, language_exponent)
        self._epoch = self._group = self._record = 0
        self._enter_group()

    def describe(self) -> str:
        """What an epoch reads and what it loses, for the log."""
        shown = f"{self.rows:,} records"
        if self._recut and self.cut:
            shown += f", cut from texts of which {self.cut:,} are longer than {self._max_length} tokens"
        elif self.cut:
            shown += (
                f", {self.cut:,} cut at {self._max_length} tokens ({self.lost:.1%} of all tokens are lost)"
            )
        elif self.dropped:
            shown += (
                f", {self.dropped:,} longer than {self._max_length} tokens left out ({self.lost:.1%} of all)"
            )
        return shown

    def take(self, count: int) -> list[RecordT]:
        """This rank's share of the next `count` records; the stream must have rows."""
        records: list[Record | MentionRecord] = []
        walked = 0
        while walked < count:
            while self._record == len(self._order):
                self._next_group()
            ahead = self._order[self._record :][: count - walked]
            own = ahead[(self._rank - walked) % self._world :: self._world]
            records += self._rows.records(own, self._max_length, epoch=self._epoch)
            self._record += len(ahead)
            walked += len(ahead)
        return cast(list[RecordT], records)

    def state(self) -> dict[str, int]:
        """The position: epoch, row group and record in the epoch's order."""
        return {"epoch": self._epoch, "group": self._group, "record": self._record}

    def load_state(self, state: dict[str, int]) -> None:
        """Go on exactly where `state` was taken.

        Raises:
            ValueError: there is no such place.
        """
        self._epoch, self._group, self._record = (state[name] for name in ("epoch", "group", "record"))
        if not 0 <= self._group < max(1, len(self._groups)):
            raise ValueError(f"the stream {self._name} has no row group {self._group}")
        self._enter_group()
        if not 0 <= self._record <= len(self._order):
            raise ValueError(f"the stream {self._name} has no record {self._record} in its row group")

    def _next_group(self) -> None:
        self._group += 1
        if self._group == len(self._groups):
            self._epoch, self._group = self._epoch + 1, 0
        self._record = 0
        self._enter_group()

    def _enter_group(self) -> None:
        self._order = np.empty((0, 3), np.int64)
        if self._groups:
            chosen = int(self._permutation(len(self._groups), "groups")[self._group])
            file, group = self._groups[chosen]
            table = file.read(group).combine_chunks()
            copies = self._sampled(table, self._usable(table), chosen)
            self._rows = _Rows(table)
            self._order = copies[self._permutation(len(copies), "rows", chosen)]

    def _sampled(self, table: pa.Table, usable: NDArray[np.int64], group: int) -> NDArray[np.int64]:
        """[copies, 3] (row, piece, which copy of it); as many copies as the language asks for on average."""
        if self._copies is None:
            return np.pad(usable, ((0, 0), (0, 1)))
        expected = np.array([self._copies[lang] for lang in table["lang"].take(usable[:, 0]).to_pylist()])
        draws = self._hashes(len(usable), "languages", group) / 2.0**64
        counts = np.floor(expected + draws).astype(np.int64)
        return np.column_stack([np.repeat(usable, counts, axis=0), _places(counts)])

    def _permutation(self, n: int, *key: int | str) -> NDArray[np.int64]:
        return np.argsort(self._hashes(n, "order", *key), kind="stable")

    def _hashes(self, n: int, purpose: str, *key: int | str) -> NDArray[np.uint64]:
        salt = np.uint64(hash64(self._seed, purpose, self._name, self._epoch, *key))
        return mix64_array(np.arange(n, dtype=np.uint64) ^ salt)

    def _choose_passages(self) -> int | None:
        lengths = {
            n
            for file, group in self._groups
            for n in pc.unique(file.read(group, ["length"])["length"]).to_pylist()
        }
        return max((n for n in lengths if n <= self._max_length), default=min(lengths, default=None))

    def _chosen(self, table: pa.Table) -> NDArray[np.bool_]:
        if not self._by_length:
            return np.ones(len(table), bool)
        chosen: NDArray[np.bool_] = table["length"].to_numpy() == self._passage_length
        return chosen

    def _usable(self, table: pa.Table) -> NDArray[np.int64]:
        """[records, 2] (row, piece of its text)."""
        usable, tokens = self._chosen(table), table["tokens"].to_numpy()
        if self._slotted:
            usable &= tokens <= self._max_length
        rows = np.flatnonzero(usable)
        counts = np.ones(len(rows), np.int64)
        if self._recut:
            room = self._max_length - _FRAME
            counts = np.maximum(1, -(-(tokens[rows].astype(np.int64) - _FRAME) // room))
        return np.column_stack([np.repeat(rows, counts), _places(counts)])


class _TokenFile:
    """A token file that stays open; errors about damage name the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with damage_named(path, command=REMADE_BY):
            self._file = pq.ParquetFile(path)
        self.columns: list[str] = self._file.schema_arrow.names
        self.groups: int = self._file.num_row_groups

    def read(self, group: int, columns: list[str] | None = None) -> pa.Table:
        with damage_named(self._path, command=REMADE_BY):
            return self._file.read_row_group(group, columns=columns)


class _Rows:
    """A decoded row group."""

    def __init__(self, table: pa.Table) -> None:
        self._names: list[str] = table["id"].to_pylist()
        self._starts: list[int] = np.concatenate([[0], np.cumsum(table["tokens"].to_numpy())]).tolist()
        self._ids = _values(table["ids"])
        nested = [name for name in ("sentences", "mentions") if name in table.schema.names]
        self._mentions = table.select(nested) if "mentions" in nested else None
        self._slotted = "slot" in table.schema.names
        if self._slotted:
            self._kinds: list[str] = table["kind"].to_pylist()
            self._slot, self._sentence = _values(table["slot"]), _values(table["sentence"])
        else:
            # Records of one length share them, which saves two arrays a record.
            longest = int(np.max(table["tokens"].to_numpy(), initial=0))
            slot, sentence = np.zeros(longest, np.int8), np.full(longest, -1, np.int16)
            self._no_slots = [(slot[:n], sentence[:n]) for n in range(longest + 1)]

    def records(
        self, chosen: NDArray[np.int64], max_length: int, *, epoch: int
    ) -> Sequence[Record | MentionRecord]:
        """The records at `chosen` [records, 3]: row, piece of its text, which copy of it."""
        if self._mentions is None:
            return [self._plain(row, piece, copy, max_length, epoch) for row, piece, copy in chosen.tolist()]
        spans = [_dicts(column.combine_chunks()) for column in self._mentions.take(chosen[:, 0])]
        found: list[Record | MentionRecord] = []
        for (row, _, copy), *own in zip(chosen.tolist(), *spans, strict=True):
            name, ids = self._ids_of(row, copy)
            if len(ids) > max_length:
                # The closing special token stays.
                ids = np.concatenate([ids[: max_length - 1], ids[-1:]])
            # Tokens from the closing special token on are left out.
            inside = [[span for span in column if span["end"] < len(ids)] for column in own]
            of = dict(zip(self._mentions.column_names, inside, strict=True))
            found.append(MentionRecord(name, ids, of.get("sentences", []), of["mentions"], epoch))
        return found

    def _plain(self, row: int, piece: int, copy: int, max_length: int, epoch: int) -> Record:
        name, ids = self._ids_of(row, copy)
        if self._slotted:
            span = slice(self._starts[row], self._starts[row + 1])
            return Record(name, self._kinds[row], ids, self._slot[span], self._sentence[span], epoch)
        if len(ids) > max_length:
            name, ids = f"{name}#{piece}" if piece else name, _piece(ids, piece, max_length)
        return Record(name, "plain", ids, *self._no_slots[len(ids)], epoch)

    def _ids_of(self, row: int, copy: int) -> tuple[str, NDArray[np.int32]]:
        name, ids = self._names[row], self._ids[self._starts[row] : self._starts[row + 1]]
        return f"{name}~{copy}" if copy else name, ids


def _piece(ids: NDArray[np.int32], piece: int, max_length: int) -> NDArray[np.int32]:
    """One of the pieces of a text of over `max_length` tokens, between the text's first and last token."""
    body = ids[1:-1]
    pieces = -(-len(body) // (max_length - _FRAME))
    first, last = (len(body) * n // pieces for n in (piece, piece + 1))
    return np.concatenate([ids[:1], body[first:last], ids[-1:]])


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... for each count in turn."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _expected_copies(languages: Counter[str], exponent: float) -> dict[str, float] | None:
    """How often a record of each language is read in an epoch; None: once."""
    if exponent == 1.0 or len(languages) < 2:
        return None
    wanted = {lang: n**exponent for lang, n in languages.items()}
    share = languages.total() / sum(wanted.values())
    return {lang: wanted[lang] * share / n for lang, n in languages.items()}


def _dicts(values: pa.Array) -> list[Any]:
    """An array's values as Python objects; of structs and lists of them without an object a scalar."""
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        flat, ends = _dicts(values.flatten()), np.cumsum(values.value_lengths().fill_null(0).to_numpy())
        starts = ends - values.value_lengths().fill_null(0).to_numpy()
        return [flat[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        columns = [_dicts(column) for column in values.flatten()]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if values.null_count and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return values.to_pylist()
    return values.to_numpy(zero_copy_only=False).tolist()


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    return pc.list_flatten(column).to_numpy()
