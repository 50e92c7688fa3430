"""The graph of a build: entities with tokenised descriptions, and the edges between them, memory-mapped."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, hash64_rows
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.tokens import REMADE_BY, ensure_tokens, tokenizer_key
from trainer.arrays import derived
from trainer.jaket.graph import Directions, Graph, group_edges

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Raised when the same shards give other arrays, so that older caches are redone.
_VERSION = "1"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entities:
    """The described entities, by QID.

    Attributes:
        qids: bytes [entities], ascending; an entity's id is its place.
        tokens: int32, the descriptions one after the other, special tokens included.
        starts: int64 [entities + 1], where each one's tokens begin.
        spans: int32 [entities, 2], first and last token of the entity's own mention; 0 and 0, the opening
            special token, where it has none.
        categories: int32 [entities], rows of `category_names`; -1: none.
        category_names, relation_names: QIDs and PIDs, ascending.
    """

    qids: NDArray[np.bytes_]
    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    spans: NDArray[np.int32]
    categories: NDArray[np.int32]
    category_names: list[str]
    relation_names: list[str]

    def __len__(self) -> int:
        return len(self.qids)

    def find(self, qids: Sequence[str]) -> NDArray[np.int64]:
        """Each one's id; -1 where it is not described."""
        return _find(self.qids, _utf8(qids))

    def unseen(self, share: float, seed: int) -> NDArray[np.bool_]:
        """[entities], whether training leaves the entity aside; drawn from seed and QID only."""
        return is_unseen([qid.decode() for qid in self.qids], share=share, seed=seed)


def is_unseen(qids: Sequence[str], *, share: float, seed: int) -> NDArray[np.bool_]:
    """[entities], whether training leaves the entity aside; drawn from seed and QID only."""
    return hash64_rows((seed, "jaket-unseen"), qids) / 2.0**64 < share


@dataclass(frozen=True)
class GraphStore:
    """The entities and edges of a build, cached in OUT/cache/jaket.

    Args:
        corpus: a build with `jaket_entities` and `jaket_edges`.
        tokenizer: of the descriptions.
        length: tokens of a description, special tokens left out.

    Raises:
        InputError: the build lacks one of the tables, or has no entity.
    """

    corpus: Path
    tokenizer: "PreTrainedTokenizerFast"
    length: int

    @property
    def entities_key(self) -> str:
        """Names the entities and their tokenised descriptions by content."""
        return self._key("entities", tokenizer_key(self.tokenizer.backend_tokenizer), self.length)

    def entities(self) -> Entities:
        """The entities, with their descriptions cut to `length`."""
        arrays = derived(self._cache(f"entities-{self.entities_key}"), self._make_entities)
        categories, relations = arrays.pop("category_names"), arrays.pop("relation_names")
        return Entities(
            **arrays,
            category_names=[name.decode() for name in categories],
            relation_names=[name.decode() for name in relations],
        )

    def graph(self, entities: Entities, *, directions: Directions, seen: NDArray[np.bool_] | None) -> Graph:
        """The edges between entities; with `seen` [entities], only those between two that it holds for."""
        chosen = "all" if seen is None else hash64(np.packbits(seen).tobytes().hex())
        key = self._key("graph", directions, chosen)

        def make() -> dict[str, NDArray[Any]]:
            heads, relations, tails = self._edges(entities)
            if seen is not None:
                kept = seen[heads] & seen[tails]
                heads, relations, tails = heads[kept], relations[kept], tails[kept]
            graph = group_edges(
                heads,
                relations,
                tails,
                nodes=len(entities),
                relation_count=len(entities.relation_names),
                directions=directions,
            )
            return vars(graph)

        return Graph(**derived(self._cache(f"graph-{key}"), make))

    def _cache(self, name: str) -> Path:
        place = Path("cache", "jaket", name)
        refuse_links(self.corpus, place)
        return self.corpus / place

    def _make_entities(self) -> dict[str, NDArray[Any]]:
        files = ensure_tokens(
            self.corpus,
            "jaket_entities",
            self.tokenizer.backend_tokenizer,
            mask_token=str(self.tokenizer.mask_token),
        )
        paths = [path for split in files.values() for path in split]
        tables = [read_shard(path, command=REMADE_BY) for path in paths]
        table = pa.concat_tables(tables) if tables else None
        if not table:
            raise InputError("has no described entity", where=str(self.corpus), hint="Build jaket_entities")
        table = table.take(pc.sort_indices(table["qid"]))
        _log.info("%d described entities", len(table))
        ids, sizes = pc.list_flatten(table["ids"]).to_numpy(), pc.list_value_length(table["ids"]).to_numpy()
        longest = self.length + self.tokenizer.num_special_tokens_to_add()
        tokens, starts = _cut(ids, sizes.astype(np.int64), longest)
        first = table["start"].fill_null(0).to_numpy()
        last = pc.subtract(table["end"], 1).fill_null(0).to_numpy()
        # A mention that the cut took away counts as none.
        inside = last < np.diff(starts) - 1
        categories = table["category"].combine_chunks().dictionary_encode()
        names = _utf8(categories.dictionary.to_pylist())
        order = np.argsort(names)
        rank = np.empty(len(names) + 1, np.int32)
        rank[order], rank[-1] = np.arange(len(names)), -1
        return {
            "qids": _utf8(table["qid"].to_pylist()),
            "tokens": tokens,
            "starts": starts,
            "spans": np.where(inside[:, None], np.stack([first, last], axis=1), 0).astype(np.int32),
            "categories": rank[categories.indices.fill_null(-1).to_numpy()],
            "category_names": names[order],
            "relation_names": np.unique(_utf8(list(self._relation_names()))),
        }

    def _relation_names(self) -> Iterable[str]:
        for path in self._edge_shards():
            yield from pc.unique(read_shard(path, ["r"])["r"]).to_pylist()

    def _edges(self, entities: Entities) -> tuple[NDArray[np.int32], NDArray[np.int16], NDArray[np.int32]]:
        """Ids of the triples between described entities, in shard order."""
        qids = pa.array([qid.decode() for qid in entities.qids], pa.string())
        relations = pa.array(entities.relation_names, pa.string())
        parts = []
        for path in self._edge_shards():
            table = read_shard(path)
            ids = [
                pc.index_in(table[name], values).fill_null(-1).to_numpy().astype(dtype)
                for name, values, dtype in (
                    ("h", qids, np.int32),
                    ("r", relations, np.int16),
                    ("t", qids, np.int32),
                )
            ]
            known = (ids[0] >= 0) & (ids[2] >= 0)
            parts.append([column[known] for column in ids])
        heads, kinds, tails = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return heads, kinds, tails

    def _edge_shards(self) -> list[Path]:
        entry = load_manifest(self.corpus, required=True).built(self.corpus, "jaket_edges")
        return [self.corpus / file.path for file in entry.files]

    def _key(self, *parts: int | str) -> str:
        tables = load_manifest(self.corpus, required=True).tables
        content = [
            tables[name].digest if name in tables else "" for name in ("jaket_entities", "jaket_edges")
        ]
        return f"{hash64(_VERSION, *content, *parts):016x}"


def _utf8(names: Sequence[str]) -> NDArray[np.bytes_]:
    """Ids of any script as bytes, whose order is that of the code points."""
    return np.array([name.encode() for name in names], dtype=np.bytes_)


def _find(sorted_names: NDArray[np.bytes_], names: NDArray[np.bytes_]) -> NDArray[np.int64]:
    places = np.searchsorted(sorted_names, names).clip(max=len(sorted_names) - 1)
    return np.where(sorted_names[places] == names, places, -1)


def _cut(
    ids: NDArray[np.int32], sizes: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Each text's first tokens and its closing special token, `longest` in all; where each text starts."""
    within = np.arange(len(ids)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = (within < longest - 1) | (within == np.repeat(sizes, sizes) - 1)
    return ids[kept], np.concatenate([[0], np.cumsum(sizes.clip(max=longest))])
