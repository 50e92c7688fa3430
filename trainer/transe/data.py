"""TransE's facts as dense ids in memory-mapped files, and the batches of facts and negatives."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.digests import seal, sealed_files
from kgcorpus.contracts.draws import below_array, hash64, mix64_array
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.inputs import BadRecord
from kgcorpus.kg.readers import parse_triple
from trainer.arrays import open_array
from trainer.checkpoint import write_folder
from trainer.evaluate.files import text_lines
from trainer.transe.embeddings import read_ids, write_ids
from trainer.transe.model import Batch

_log = logging.getLogger(__name__)
_ENDS = ("h", "t")


@dataclass(frozen=True, eq=False)
class Triples:
    """Facts as places among ids; an id without a fact is not among them.

    Attributes:
        facts: int32 [T, 3], head, relation and tail.
        entities: the ids that occur in a fact, by Q number.
        relations: likewise, by P number.
        left_out: reason -> facts of the corpus that are not here.
    """

    facts: NDArray[np.int32]
    entities: list[str]
    relations: list[str]
    left_out: dict[str, int]


def ensure_triples(folder: Path, corpus: Path, *, held_out: Path | None) -> Triples:
    """Open the folder of facts; make it first where it is missing or damaged.

    Left out are the facts on a pair that the table `xlr` holds out, whatever their relation and direction:
    the pair that a question asks about, and pairs of the same names. Left out are also those of `held_out`.

    Args:
        folder: where; about 12 bytes a fact and 10 an entity.
        corpus: a finished build with the table `triples`.
        held_out: a file of lines `h r t`, tab-separated.

    Raises:
        InputError: no table `triples`, a line that is no fact, nothing left to train on, or a damaged folder.
    """
    if not sealed_files(folder):
        made = _make(corpus, held_out)
        write_folder(folder, lambda target: _write(target, made))
        _log.info("%d facts, left out: %s", len(made.facts), made.left_out)
    try:
        return Triples(
            open_array(folder / "facts.npy", kind="i", shape=(None, 3)),
            read_ids(folder / "entities.txt"),
            read_ids(folder / "relations.txt"),
            parse_json((folder / "left_out.json").read_text(encoding="utf-8")),
        )
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"holds no facts ({error})", where=str(folder), hint="Delete it: the same command makes it again"
        ) from None


def read_facts(path: Path) -> pa.Table:
    """The string columns h, r, t of a file of lines `h r t`, tab-separated.

    Raises:
        InputError: it cannot be read, or a line is not a triple of ids as in `graph.triples`.
    """
    rows = []
    for number, line in text_lines(path):
        try:
            rows.append(parse_triple(line))
        except BadRecord as bad:
            raise InputError(bad.reason, where=f"{path}, line {number}") from None
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate("hrt")})


def places(table: pa.Table, entities: pa.Array, relations: pa.Array) -> NDArray[np.int32]:
    """[rows, 3] the places of h, r and t among the ids; -1 for an unknown one."""
    sets = {"h": entities, "r": relations, "t": entities}
    columns = [pc.fill_null(pc.index_in(table[name], value_set=ids), -1) for name, ids in sets.items()]
    return np.column_stack([column.to_numpy() for column in columns])


def _make(corpus: Path, held_out: Path | None) -> Triples:
    manifest = load_manifest(corpus, required=True)
    manifest.built(corpus, "triples")
    manifest.check_files(corpus, ("xlr",))
    files = manifest.files(corpus, "triples")
    questions = manifest.files(corpus, "xlr") if "xlr" in manifest.tables else []
    entities, relations = _distinct(files, _ENDS), _distinct(files, ("r",))
    facts = np.concatenate([places(table, entities, relations) for table in _tables(files, ["h", "r", "t"])])
    left_out, keep = {}, np.ones(len(facts), bool)
    for reason, bad in (
        ("xlr_pair", _on_pairs(facts, _xlr_pairs(questions, entities), len(entities))),
        ("held_out", _among(facts, held_out, entities, relations)),
    ):
        left_out[reason] = int((bad & keep).sum())
        keep &= ~bad
    facts = facts[keep]
    if not len(facts):
        raise InputError("leaves no fact to train on", where=str(corpus))
    facts[:, [0, 2]], used = _compacted(facts[:, [0, 2]], len(entities))
    facts[:, 1], used_relations = _compacted(facts[:, 1], len(relations))
    return Triples(
        facts, entities.take(used).to_pylist(), relations.take(used_relations).to_pylist(), left_out
    )


def _compacted(values: NDArray[np.int32], n: int) -> tuple[NDArray[np.int32], pa.Array]:
    """Values in [0, n) renumbered without gaps, and those that occur."""
    used = np.zeros(n, bool)
    used[values] = True
    return (np.cumsum(used) - 1)[values].astype(np.int32), pa.array(np.flatnonzero(used))


def _xlr_pairs(files: list[str], entities: pa.Array) -> NDArray[np.int64]:
    """[pairs, 2] the entities that the table `xlr` asks about, and those of the same names; -1: not known."""
    parts = [np.empty((0, 2), np.int64)]
    for table in _tables(files, ["question", "held_out"]):
        asked, alike = table["question"].combine_chunks(), pc.list_flatten(table["held_out"])
        for pairs in (asked, alike.combine_chunks()):
            ends = (pc.index_in(pc.struct_field(pairs, end), value_set=entities) for end in _ENDS)
            parts.append(np.column_stack([pc.fill_null(end, -1).to_numpy() for end in ends]))
    return np.concatenate(parts).astype(np.int64)


def _on_pairs(facts: NDArray[np.int32], pairs: NDArray[np.int64], entities: int) -> NDArray[np.bool_]:
    def key(a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.minimum(a, b).astype(np.int64) * entities + np.maximum(a, b)

    pairs = pairs[(pairs >= 0).all(axis=1)]
    return np.isin(key(facts[:, 0], facts[:, 2]), key(pairs[:, 0], pairs[:, 1]))


def _among(
    facts: NDArray[np.int32], held_out: Path | None, entities: pa.Array, relations: pa.Array
) -> NDArray[np.bool_]:
    if held_out is None:
        return np.zeros(len(facts), bool)
    others = places(read_facts(held_out), entities, relations)
    others = others[(others >= 0).all(axis=1)]
    return np.isin(fact_keys(facts, len(entities)), fact_keys(others, len(entities)))


def fact_keys(facts: NDArray[np.integer], entities: int) -> NDArray[np.int64]:
    """Pack each fact [T, 3] into one int64 key [T]; with 4.6 million entities, 400,000 relations fit."""
    keys: NDArray[np.int64] = facts[:, 1].astype(np.int64) * entities + facts[:, 0]
    return keys * entities + facts[:, 2]


def _distinct(files: list[str], columns: tuple[str, ...]) -> pa.Array:
    """The ids of these columns, by their number: shorter ones first, then as strings."""
    found = [pc.unique(table[name]) for table in _tables(files, list(columns)) for name in columns]
    ids = pc.unique(pa.chunked_array(found)).cast(pa.string())
    order = pc.sort_indices(
        pa.table({"length": pc.binary_length(ids), "id": ids}),
        [("length", "ascending"), ("id", "ascending")],
    )
    return ids.take(order)


def _tables(files: list[str], columns: list[str]) -> Iterator[pa.Table]:
    """A shard at a time, not a row group: each search among the ids builds a new hash table."""
    for path in files:
        yield read_shard(path, columns)


def _write(folder: Path, triples: Triples) -> None:
    np.save(folder / "facts.npy", triples.facts)
    write_ids(folder / "entities.txt", triples.entities)
    write_ids(folder / "relations.txt", triples.relations)
    (folder / "left_out.json").write_text(json.dumps(triples.left_out), encoding="utf-8")
    seal(folder, ("facts.npy", "entities.txt", "relations.txt", "left_out.json"))


class Batches:
    """Facts in a new order every epoch, and new negatives every step, uniformly over the entities.

    An epoch's order takes 8 bytes a fact, and 16 more while it is drawn.

    Args:
        facts: [T, 3] head, relation and tail; may be mapped from a file.
        entities: how many there are.
        size: facts of a step; the last one of an epoch has the rest.
        negatives: heads, and as many tails, of a step.
        seed: of the draws.
    """

    def __init__(
        self, facts: NDArray[np.int32], *, entities: int, size: int, negatives: int, seed: int
    ) -> None:
        self._facts, self._entities, self._size, self._negatives = facts, entities, size, negatives
        self._seed = seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    @property
    def an_epoch(self) -> int:
        """Steps of an epoch."""
        return -(-len(self._facts) // self._size)

    def at(self, step: int, device: torch.device) -> Batch:
        """What the step after `step` steps reads."""
        epoch, place = divmod(step, self.an_epoch)
        if epoch != self._epoch:
            salt = np.uint64(hash64(self._seed, "transe-order", epoch))
            keys = mix64_array(np.arange(len(self._facts), dtype=np.uint64) ^ salt)
            self._epoch, self._order = epoch, np.argsort(keys, kind="stable")
        facts = self._facts[self._order[place * self._size : (place + 1) * self._size]].astype(np.int64)
        others = self._draw(step)
        columns = (*facts.T, others[: self._negatives], others[self._negatives :])
        return Batch(*(torch.from_numpy(np.ascontiguousarray(column)).to(device) for column in columns))

    def _draw(self, step: int) -> NDArray[np.int64]:
        salt = np.uint64(hash64(self._seed, "transe-negatives", step))
        return below_array(np.arange(2 * self._negatives, dtype=np.uint64) ^ salt, self._entities)
