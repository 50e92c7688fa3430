"""TRELM's records (arXiv 2403.11203): a passage whose mentions carry their importance and their facts."""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kgcorpus.contracts.draws import hash64
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
) -> list[dict[str, str]]:
    """An entity's facts, as the decoding task (eq. 2) and the injection need them.

    Args:
        qid: the entity.
        triples: the triples (h, r, t) of which it is head or tail. A self-loop is skipped: its other end is
            the mention itself. A hub has millions; no more than the limit are held at once.
        label_of: the other end's label, in the record's language; a fact without one cannot be decoded.
        seed: of the draw that the limit needs.
        limit: facts kept, so that a hub does not swell every record that mentions it. Those with the
            smallest hash stay, in that order: a random sample, and so is every prefix of it.
        tally: counts `fact_self_loop` and `fact_without_label` as drops, and `fact_over_limit`.

    Returns:
        Structs {r, other, direction, label}; direction `tail`: the other end is the fact's tail.
    """
    found = 0

    def facts() -> Iterator[tuple[int, str, str, str, str]]:
        nonlocal found
        for h, r, t in triples:
            if h == t:
                tally.drop("fact_self_loop")
                continue
            other, direction = (t, "tail") if h == qid else (h, "head")
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


def sentence_span(passage: Mapping[str, Any], mention: Mapping[str, Any]) -> tuple[str, int, int]:
    """Where a passage's mention stands in its own sentence: (sentence id, start, end)."""
    i = bisect_right(passage["sentences"], mention["start"], key=lambda span: span["start"]) - 1
    offset = passage["sentences"][i]["start"]
    return passage["sentence_ids"][i], mention["start"] - offset, mention["end"] - offset


def trelm_record(
    passage: Mapping[str, Any],
    *,
    cosines: Mapping[tuple[str, int, int], float | None],
    statistics: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, list[dict[str, str]]],
    tally: Tally,
) -> dict[str, Any]:
    """One passage as a row of table `trelm`.

    Args:
        passage: a row of table `passages`.
        cosines: (sentence id, start, end) -> cosine, null where the encoder's truncation cut the mention.
        statistics: QID -> its row of `entity_statistics`; a mention of an entity that has none is no entity
            of the graph and is left out.
        facts: QID -> its `facts_of`; absent: none.
        tally: counts `mention_outside_graph` as a drop, and `mention_without_importance`.
    """
    mentions = []
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
