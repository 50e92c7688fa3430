"""TRELM's records (arXiv 2403.11203): passages whose mentions have semantic importance and facts."""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.rows import (
    Direction,
    Fact,
    Mention,
    PassageRow,
    TrelmMention,
    TrelmRow,
)
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.formula import semantic_importance


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


def sentence_span(passage: PassageRow, mention: Mention) -> tuple[str, int, int]:
    """Return the position of a passage's mention within its sentence: (sentence id, start, end)."""
    i = bisect_right(passage["sentences"], mention["start"], key=lambda span: span["start"]) - 1
    offset = passage["sentences"][i]["start"]
    return passage["sentence_ids"][i], mention["start"] - offset, mention["end"] - offset


def trelm_record(
    passage: PassageRow,
    *,
    cosines: Mapping[tuple[str, int, int], float | None],
    statistics: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, list[Fact]],
    tally: Tally,
) -> TrelmRow:
    """Convert a passage to a row of table `trelm`.

    Args:
        passage: a row of table `passages`.
        cosines: (sentence id, start, end) -> cosine; null if the encoder truncated the mention.
        statistics: QID -> row of `entity_statistics`. Mentions of entities without a row are dropped.
        facts: QID -> result of `facts_of`; entities without facts are absent.
        tally: drops `mention_outside_graph`; counts `mention_without_importance`.
    """
    mentions: list[TrelmMention] = []
    for mention in passage["mentions"]:
        known = statistics.get(mention["qid"])
        if known is None:
            tally.drop("mention_outside_graph")
            continue
        cos = cosines.get(sentence_span(passage, mention))
        if cos is None:
            tally.count("mention_without_importance")
        mentions.append(
            {
                "start": mention["start"],
                "end": mention["end"],
                "qid": mention["qid"],
                "confidence": mention["confidence"],
                "cos": cos,
                "si": None if cos is None else semantic_importance(cos),
                "long_tail": known["long_tail"],
                "frequency": known["frequency"],
                "triples": facts.get(mention["qid"], []),
            }
        )
    return {
        "id": passage["passage_id"],
        "lang": passage["lang"],
        "text": passage["text"],
        "sentences": passage["sentences"],
        "mentions": mentions,
    }
