"""TRELM's records (arXiv 2403.11203): passages whose mentions have semantic importance and facts."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Int64s, UInt64s
from kgcorpus.contracts.columns import places_in, sums
from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.rows import Direction, Fact
from kgcorpus.contracts.schema import TRELM_MENTION
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.formula import COSINE_FLOOR
from kgcorpus.kg.names import LabelIndex

if TYPE_CHECKING:
    from kgcorpus.records.mention_facts import MentionFacts


def facts_of(
    qid: str,
    triples: Iterable[tuple[str, str, str]],
    *,
    label_of: Callable[[str], str | None],
    seed: int,
    limit: int,
    tally: Tally,
) -> list[Fact]:
    """Return an entity's facts for the decoding task (eq. 2) and the injection.

    Args:
        qid: the entity.
        triples: triples (h, r, t) with the entity as head or tail. Self-loops are skipped. The iterable may
            be large; at most `limit` facts are kept in memory.
        label_of: label of the other entity in the record's language; facts without a label are dropped.
        seed: seed of the sample.
        limit: maximum number of facts, because hubs have millions. Facts with the smallest hashes are kept,
            in that order, so every prefix of the result is a random sample.
        tally: drops `fact_self_loop` and `fact_without_label`; counts `fact_over_limit`.

    Returns:
        Structs {r, other, direction, label}; direction `tail` means that `other` is the fact's tail.
    """
    found = 0

    def facts() -> Iterator[tuple[int, str, str, Direction, str]]:
        nonlocal found
        for h, r, t in triples:
            if h == t:
                tally.drop("fact_self_loop")
                continue
            other, direction = _other_end(qid, h, t)
            label = label_of(other)
            if label is None:
                tally.drop("fact_without_label")
            else:
                found += 1
                yield hash64(seed, "trelm-fact", qid, h, r, t), r, other, direction, label

    kept = heapq.nsmallest(limit, facts())
    tally.count("fact_over_limit", max(0, found - limit))
    return [
        {"r": r, "other": other, "direction": direction, "label": label}
        for _, r, other, direction, label in kept
    ]


def _other_end(qid: str, h: str, t: str) -> tuple[str, Direction]:
    return (t, "tail") if h == qid else (h, "head")


@dataclass(frozen=True, eq=False)
class Cosines:
    """Cosines of mentions by the hash of sentence id, start and end.

    Attributes:
        keys: [M] hashes, ascending.
        cosines: [M] null if the encoder truncated the mention.
    """

    keys: UInt64s
    cosines: pa.FloatArray

    @classmethod
    def of(cls, importance: pa.RecordBatch) -> Self:
        """Take the columns sentence_id, start, end and cos of the table `importance`."""
        keys = _mention_keys(*(importance.column(name) for name in ("sentence_id", "start", "end")))
        order = np.argsort(keys)
        return cls(keys[order], importance.column("cos").take(pa.array(order)))

    def find(self, sentence_ids: pa.Array, starts: pa.Array, ends: pa.Array) -> pa.FloatArray:
        """[n] the cosines of mentions at these places; null where there is none."""
        places = places_in(self.keys, _mention_keys(sentence_ids, starts, ends))
        return self.cosines.take(pa.array(places, mask=places < 0))


def trelm_batch(
    passages: pa.RecordBatch,
    *,
    cosines: Cosines,
    facts: "MentionFacts",
    names: LabelIndex,
    lang: str,
    tally: Tally,
) -> pa.RecordBatch:
    """Convert passages to rows of table `trelm`, in their order.

    Args:
        passages: columns of the table `passages`.
        cosines: of the mentions in their sentences.
        facts: of the entities; mentions of entities without statistics are dropped.
        names: the rows of `facts`.
        lang: language of the facts' labels.
        tally: drops `mention_outside_graph`; counts `mention_without_importance`.
    """
    lists = passages.column("mentions")
    mentions, parents = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    rows = names.rows(mentions.field("qid"))
    known = rows >= 0
    known[known] = facts.frequency[rows[known]] >= 0
    if outside := int(np.count_nonzero(~known)):
        tally.drop("mention_outside_graph", outside)
    kept = pa.array(np.flatnonzero(known))
    mentions, parents, rows = mentions.take(kept), parents[known], rows[known]
    cos = cosines.find(*_places_in_sentences(passages, mentions, parents))
    if cos.null_count:
        tally.count("mention_without_importance", cos.null_count)
    columns = {
        **{name: mentions.field(name) for name in ("start", "end", "qid", "confidence")},
        "cos": cos,
        "si": _semantic_importances(cos),
        "long_tail": pa.array(facts.long_tail[rows]),
        "frequency": pa.array(facts.frequency[rows]),
        "triples": facts.facts(rows, names=names, lang=lang),
    }
    bounds = sums(np.bincount(parents, minlength=len(passages)))
    fields = list(TRELM_MENTION)
    made = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
    return pa.record_batch(
        {
            "id": passages.column("passage_id"),
            **{name: passages.column(name) for name in ("lang", "text", "sentences")},
            "mentions": pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), made),
        }
    )


def _semantic_importances(cosines: pa.FloatArray) -> pa.FloatArray:
    """`importance.formula.semantic_importance`, elementwise; null for null."""
    raised = pc.max_element_wise(cosines.cast(pa.float64()), COSINE_FLOOR, skip_nulls=False)
    return pc.divide(1.0, raised).cast(pa.float32(), safe=False)


def _places_in_sentences(
    passages: pa.RecordBatch, mentions: pa.StructArray, parents: Int64s
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """The sentence ids, and the starts and ends in their sentences, of mentions in passages.

    Args:
        parents: [n] the passage of each mention.
    """
    lists = passages.column("sentences")
    first = lists.flatten().field("start").to_numpy()
    order = (pc.list_parent_indices(lists).to_numpy().astype(np.int64) << 32) + first
    start, end = (mentions.field(name).to_numpy() for name in ("start", "end"))
    sentence = np.searchsorted(order, (parents.astype(np.int64) << 32) + start, side="right") - 1
    ids = passages.column("sentence_ids").flatten().take(pa.array(sentence))
    return ids, pa.array(start - first[sentence]), pa.array(end - first[sentence])


def _mention_keys(sentence_ids: pa.Array, starts: pa.Array, ends: pa.Array) -> UInt64s:
    from kgcorpus.kg.strings import hash_rows

    return hash_rows(sentence_ids, starts.cast(pa.int64()), ends.cast(pa.int64()))
