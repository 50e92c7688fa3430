"""Passages: consecutive sentences of one page, up to N tokens, what TRELM and JAKET train on."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from kgcorpus.contracts.tally import Tally

_UNSPACED_LANGUAGES = frozenset({"ja", "zh"})


def build_passages(
    sentences: Sequence[dict[str, Any]],
    *,
    kind: str,
    max_tokens: int,
    count_tokens: Callable[[list[str]], list[int]],
    min_entities: int = 0,
    min_page_characters: int = 0,
    tally: Tally,
) -> Iterator[dict[str, Any]]:
    """Fill passages greedily with one page's sentences; every sentence is in exactly one.

    A passage's `tokens` is the sum of its sentences' own counts, each taken with the separator before it:
    exact for tokenizers that split at spaces first, up to the first word of the passage.

    Args:
        sentences: all rows of table `linked_sentences` of one page, in order.
        kind: name of the passages' kind, part of their ids.
        max_tokens: tokens a passage may hold. A sentence longer than this stands alone, uncut.
        count_tokens: texts -> their lengths in tokens, special tokens left out.
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
    separator = "" if sentences[0]["lang"] in _UNSPACED_LANGUAGES else " "
    lengths = count_tokens([separator + sentence["text"] for sentence in sentences])
    tally.count("long_sentence", sum(length > max_tokens for length in lengths))
    first = 0
    while first < len(sentences):
        stop, tokens = first + 1, lengths[first]
        while stop < len(sentences) and tokens + lengths[stop] <= max_tokens:
            tokens += lengths[stop]
            stop += 1
        passage = _join(sentences[first:stop], kind=kind, separator=separator, tokens=tokens)
        if len(passage["mentions"]) < min_entities:
            tally.drop("few_entities")
        else:
            yield passage
        first = stop


def _join(sentences: Sequence[dict[str, Any]], *, kind: str, separator: str, tokens: int) -> dict[str, Any]:
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
        "tokens": tokens,
    }
