"""Frequencies and sampled facts of entities in memory-mapped arrays, for TRELM's records."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Bools, Int32s, Int64s, UInt64s
from kgcorpus.contracts.columns import ranges, sums
from kgcorpus.contracts.draws import hash64_rows
from kgcorpus.contracts.tables import FACT
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Folder, Group
from kgcorpus.kg.names import LabelIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROUP = "mention_facts"
# Facts that wait for the next reduction to the sample.
_PENDING = 4_000_000
_DIRECTIONS = pa.array(["head", "tail"])


@dataclass(frozen=True, kw_only=True, eq=False)
class MentionFacts:
    """What a mention carries besides its importance, by the entity's row in `LabelIndex`.

    Attributes:
        frequency: [N] mentions in the corpus; -1 for an entity without statistics.
        long_tail: [N] whether the entity is long-tail.
        bounds: [N + 1] an entity's first place in the next three arrays.
        relation: [F] a fact's relation, as its place in `relations`.
        other: [F] row of the fact's other end.
        is_tail: [F] whether the other end is the fact's tail.
        relations: ids.
    """

    frequency: Int64s
    long_tail: Bools
    bounds: Int64s
    relation: Int32s
    other: Int32s
    is_tail: Bools
    relations: pa.LargeStringArray

    @classmethod
    def of(
        cls,
        triples: Iterable[pa.RecordBatch],
        statistics: Iterable[pa.RecordBatch],
        *,
        names: LabelIndex,
        lang: str,
        seed: int,
        limit: int,
        tally: Tally,
    ) -> Self:
        """Sample the facts of every mentioned entity, as `records.trelm.facts_of` does for one.

        Args:
            triples: columns h, r and t; at most 4 million facts and the samples are in memory.
            statistics: columns qid, frequency and long_tail.
            names: of all entities.
            lang: of the labels; facts without one are dropped.
            limit: of an entity's facts.
            tally: as for `facts_of`, over all entities.
        """
        n = len(names)
        frequency, long_tail = np.full(n, -1, np.int64), np.zeros(n, np.bool_)
        for batch in statistics:
            rows = names.rows(batch.column("qid"))
            known = batch.filter(pa.array(rows >= 0))
            rows = rows[rows >= 0]
            frequency[rows] = known.column("frequency").to_numpy()
            long_tail[rows] = known.column("long_tail").to_numpy(zero_copy_only=False)
        has_label = pc.is_valid(names.column(lang).labels).to_numpy(zero_copy_only=False)
        found = np.zeros(n, np.int64)
        codes: dict[str, int] = {}
        sample, pending = _Facts.none(), []
        for batch in triples:
            facts = _facts_in(batch, names, codes, has_label, frequency, found, seed=seed, tally=tally)
            pending.append(facts)
            if sum(len(one.owner) for one in pending) > _PENDING:
                sample, pending = _Facts.joined([sample, *pending]).smallest(limit), []
        sample = _Facts.joined([sample, *pending]).smallest(limit)
        tally.count("fact_over_limit", int(np.maximum(found - limit, 0).sum()))
        return cls(
            frequency=frequency,
            long_tail=long_tail,
            bounds=sums(np.bincount(sample.owner, minlength=n)),
            relation=sample.relation,
            other=sample.other,
            is_tail=sample.is_tail,
            relations=pa.array(codes, pa.large_string()),
        )

    def save(self, folder: Path) -> None:
        """Write the arrays into a folder."""
        from kgcorpus.kg.strings import string_arrays

        offsets, data = string_arrays(self.relations)
        group: Group = {name: array for name, array in vars(self).items() if name != "relations"}
        Folder(folder).put(_GROUP, {**group, "relation_offsets": offsets, "relation_data": data})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map what `save` wrote."""
        from kgcorpus.kg.strings import strings_of

        found = Folder(folder).get(_GROUP)
        relations = strings_of(found.pop("relation_offsets"), found.pop("relation_data"))
        return cls(relations=relations, **found)

    def facts(self, rows: Int64s, *, names: LabelIndex, lang: str) -> pa.ListArray:
        """[n] the facts of the entities at these rows of `names`, as lists of `FACT`."""
        n = self.bounds[rows + 1] - self.bounds[rows]
        places = ranges(self.bounds[rows], n)
        others = pa.array(self.other[places])
        columns = [
            self.relations.take(pa.array(self.relation[places])),
            names.ids.take(others),
            _DIRECTIONS.take(pa.array(self.is_tail[places].astype(np.int8))),
            names.column(lang).labels.take(others),
        ]
        fields = [column.cast(pa.string()) for column in columns]
        structs = pa.StructArray.from_arrays(fields, fields=list(FACT))
        return pa.ListArray.from_arrays(pa.array(sums(n), pa.int32()), structs)


@dataclass(frozen=True, eq=False)
class _Facts:
    """Facts by the entity that they are listed under, in columns [n]."""

    owner: Int32s
    order: UInt64s
    relation: Int32s
    other: Int32s
    is_tail: Bools

    @classmethod
    def none(cls) -> Self:
        numbers = np.zeros(0, np.int32)
        return cls(numbers, np.zeros(0, np.uint64), numbers, numbers, np.zeros(0, np.bool_))

    @classmethod
    def joined(cls, facts: "list[_Facts]") -> "_Facts":
        columns = zip(*(vars(one).values() for one in facts), strict=True)
        return cls(*map(np.concatenate, columns))

    def smallest(self, limit: int) -> "_Facts":
        """The facts by owner, and of each owner those with the smallest hashes, in that order."""
        by_owner = np.lexsort((self.other, self.relation, self.order, self.owner))
        owners = self.owner[by_owner]
        place = np.arange(len(owners)) - np.searchsorted(owners, owners)
        kept = by_owner[place < limit]
        return _Facts(*(column[kept] for column in vars(self).values()))


def _facts_in(
    triples: pa.RecordBatch,
    names: LabelIndex,
    codes: dict[str, int],
    has_label: "NDArray[np.bool_]",
    frequency: Int64s,
    found: Int64s,
    *,
    seed: int,
    tally: Tally,
) -> _Facts:
    """The labelled facts of mentioned entities; those of all entities are added to `found` [N]."""
    h, t = (names.rows(triples.column(end)) for end in "ht")
    if loops := int((h == t).sum()):
        tally.drop("fact_self_loop", loops)
    relations = triples.column("r").dictionary_encode()
    known = np.array([codes.setdefault(r, len(codes)) for r in relations.dictionary.to_pylist()], np.int32)
    relation = known[relations.indices.to_numpy()] if len(known) else np.zeros(0, np.int32)
    parts = []
    for owner, other, is_tail in ((h, t, True), (t, h, False)):
        labelled = (h != t) & has_label[other]
        if unlabelled := int(((h != t) & ~has_label[other]).sum()):
            tally.drop("fact_without_label", unlabelled)
        np.add.at(found, owner[labelled], 1)
        kept = np.flatnonzero(labelled & (frequency[owner] > 0))
        texts = [triples.column(name).take(pa.array(kept)).to_pylist() for name in "hrt"]
        order = hash64_rows((seed, "trelm-fact"), texts[0 if is_tail else 2], *texts)
        parts.append(
            _Facts(
                owner[kept].astype(np.int32),
                order,
                relation[kept],
                other[kept].astype(np.int32),
                np.full(len(kept), is_tail),
            )
        )
    return _Facts.joined(parts)
