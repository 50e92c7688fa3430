"""Passages: consecutive sentences of one page, up to N tokens, what TRELM and JAKET train on."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from kgcorpus.contracts.rows import SentenceRow
from kgcorpus.contracts.scripts import is_unspaced
from kgcorpus.contracts.tally import Tally


def build_passages(
    sentences: Sequence[SentenceRow],
    *,
    kind: str,
    max_tokens: int,
    count_tokens: Callable[[list[str]], list[int]],
    added_tokens: int = 0,
    min_entities: int = 0,
    min_page_characters: int = 0,
    tally: Tally,
) -> Iterator[dict[str, Any]]:
    """Fill passages greedily with one page's sentences; every sentence is in exactly one.

    A passage and the special tokens around it fit in `max_tokens`. The sum of the sentences' own counts gives
    its end; the passage is then counted as a whole, and loses its last sentences while it is too long, since
    tokens at the borders of sentences may differ.

    Args:
        sentences: all rows of table `linked_sentences` of one page, in order.
        kind: name of the passages' kind, part of their ids.
        max_tokens: tokens of a passage at most, special tokens included. A longer sentence is a passage by
            itself, uncut.
        count_tokens: texts -> their lengths in tokens, special tokens left out.
        added_tokens: special tokens that the tokenizer adds to a text.
        min_entities: passages with fewer mentions are dropped (ERNIE-THU: 3).
        min_page_characters: pages with fewer characters give no passage (ERNIE-THU: 100).
        tally: counts `long_sentence`; `few_entities` (passages) and `short_page` (pages) as drops.

    Yields:
        Rows of table `passages`, in order.
    """
    if not sentences:
        return
    if sum(len(sentence["text"]) for sentence in sentences) < min_page_characters:
        tally.drop("short_page")
        return
    separator = "" if is_unspaced(sentences[0]["lang"]) else " "
    room = max_tokens - added_tokens
    lengths = count_tokens([separator + sentence["text"] for sentence in sentences])
    first = 0
    while first < len(sentences):
        stop, tokens = first + 1, lengths[first]
        while stop < len(sentences) and tokens + lengths[stop] <= room:
            tokens += lengths[stop]
            stop += 1
        passage = _join(sentences[first:stop], kind=kind, separator=separator)
        while (whole := count_tokens([passage["text"]])[0]) > room and stop > first + 1:
            stop -= 1
            passage = _join(sentences[first:stop], kind=kind, separator=separator)
        passage["tokens"] = whole
        tally.count("long_sentence", whole > room)
        if len(passage["mentions"]) < min_entities:
            tally.drop("few_entities")
        else:
            yield passage
        first = stop


def _join(sentences: Sequence[SentenceRow], *, kind: str, separator: str) -> dict[str, Any]:
    head = sentences[0]
    texts = [sentence["text"] for sentence in sentences]
    starts = list(accumulate((len(text) + len(separator) for text in texts[:-1]), initial=0))
    return {
        "passage_id": f"{kind}:{head['lang']}:{head['page_id']}:{head['ordinal']}",
        "page_id": head["page_id"],
        "lang": head["lang"],
        "kind": kind,
        "text": separator.join(texts),
        "sentences": [
            {"start": start, "end": start + len(text)} for start, text in zip(starts, texts, strict=True)
        ],
        "sentence_ids": [sentence["sentence_id"] for sentence in sentences],
        "mentions": [
            {**mention, "start": mention["start"] + start, "end": mention["end"] + start}
            for start, sentence in zip(starts, sentences, strict=True)
            for mention in sentence["mentions"]
        ],
    }
