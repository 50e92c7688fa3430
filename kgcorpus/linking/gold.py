"""Texts with gold mentions, one JSON object a line (ELEVANT's form), and the linker's score on them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.ids import read_id
from kgcorpus.inputs import DEFAULT_LIMITS, Limits, decoded, read_lines
from kgcorpus.linking.linker import WIKIDATA_ITEM, Linker
from kgcorpus.linking.mentions import Mention
from kgcorpus.linking.metrics import THRESHOLDS, f1_of_texts, numbers_of

Answer = tuple[int, int, str]
# What ELEVANT writes instead of an id: mentions of entities without an item, amounts and dates.
_NO_ENTITY = re.compile(
    r"|unknown(?:nomapping)?\d*|nil\d*|<(?:nil|no_mapping|unknown)>|quantity|datetime", re.IGNORECASE
)
_KINDS = ("other_entity", "overlap", "unlabelled_name", "unlabelled_lower_case")


@dataclass(frozen=True)
class GoldText:
    """A text and its mentions.

    Attributes:
        span: the part of the text that is annotated.
        mentions: (start, end, QID) that a linker must find; no two overlap.
        allowed: further ones that it may find: parts of a longer mention, optional ones, pronouns.
    """

    text: str
    span: tuple[int, int]
    mentions: frozenset[Answer]
    allowed: frozenset[Answer]


def read_gold(
    path: Path,
    *,
    is_entity: Callable[[str], bool] = lambda ident: False,
    wikidata: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[GoldText]:
    """The texts of a file; objects need `text` and `labels` ({span, entity_id}), and may have an `id`.

    Args:
        path: the file.
        is_entity: whether the build has an entity with an id. Of other ids, those that ELEVANT writes for
            mentions without an item, amounts and dates (`NIL`, `QUANTITY`) are left out.
        wikidata: ids are Wikidata's; an id of another form is an error.
        limits: of the input.

    Raises:
        InputError: a line is not such an object; a span is empty, or ends outside the text or its annotated
            part; two mentions that a linker must find overlap; an id is none; a document occurs twice (the
            same `id`, or the same content without ids); the file has no text or no mention of an entity; or
            as `read_lines`.
    """
    first_line: dict[Any, int] = {}
    mentions = 0
    for number, raw in read_lines(str(path), limits=limits):
        if not raw.strip():
            continue
        try:
            row = parse_json(decoded(raw))
            text = _gold_text(row, is_entity, wikidata)
            key = text if row.get("id") is None else str(row["id"])
            if key in first_line:
                raise ValueError(f"it is the same document as line {first_line[key]}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fault = str(error) if isinstance(error, ValueError) else repr(error)
            raise InputError(
                f"is not a text with gold mentions ({fault})",
                where=f"{path}, line {number}",
                hint="Give ELEVANT's form: text, labels: [{span: [start, end], entity_id}], ends exclusive",
            ) from None
        first_line[key] = number
        mentions += len(text.mentions)
        yield text
    if not mentions:
        raise InputError(
            "has no mention of an entity" if first_line else "has no text",
            where=str(path),
            hint="Give a JSON object a line, with text and labels: [{span: [start, end], entity_id}]",
        )


def _gold_text(row: dict[str, Any], is_entity: Callable[[str], bool], wikidata: bool) -> GoldText:
    text = row["text"]
    if not isinstance(text, str):
        raise TypeError(f"the text is {text!r}")
    span = _span(row.get("evaluation_span") or (0, len(text)), (0, len(text)), "evaluation_span")
    must: set[Answer] = set()
    may: set[Answer] = set()
    for number, label in enumerate(row["labels"], start=1):
        start, end = _span(label["span"], span, f"label {number}")
        if start == end:
            raise ValueError(f"label {number}: the span [{start}, {end}) is empty")
        lesser = label.get("parent") is not None or label.get("optional") or label.get("coref")
        written = label["entity_id"]
        if not _NO_ENTITY.fullmatch(written) or is_entity(written):
            (may if lesser else must).add((start, end, _entity(written, number, wikidata)))
    for (_, end, one), (start, _, other) in pairwise(sorted(must)):
        if start < end:
            raise ValueError(f"the mentions of {one} and {other} overlap at {start}")
    return GoldText(text, span, frozenset(must), frozenset(may))


def _span(value: Any, within: tuple[int, int], name: str) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{name}: the span is no pair [start, end]")
    start, end = map(index, value)
    if not within[0] <= start <= end <= within[1]:
        raise ValueError(f"{name}: the span [{start}, {end}) is not within [{within[0]}, {within[1]})")
    return start, end


def _entity(written: str, number: int, wikidata: bool) -> str:
    try:
        ident = read_id(written)
        if wikidata and not WIKIDATA_ITEM.fullmatch(ident):
            raise ValueError(f"{ident[:40]!r} is no item of Wikidata such as Q64")
    except ValueError as error:
        raise ValueError(f"label {number}: the entity_id {error}") from None
    return ident


def score_gold(linker: Linker, texts: list[GoldText], *, seed: int = 0) -> dict[str, Any]:
    """Strict F1: a mention counts if its span and its entity are right. Intervals are over resampled texts.

    `known` is the same over the gold mentions whose entity has a name in the dictionary, `spans` without
    regard to the entity. `thresholds` is `strict` at other confidences than the linker's own. `wrong` counts
    the wrong mentions by kind, and `without_common_nouns` is `strict` without those of the last kind:
    `other_entity` (at the span of a label), `overlap` (of a label), `unlabelled_name`, and
    `unlabelled_lower_case`, mostly common nouns. Texts that are equal count as one when resampled.
    """
    numbers = numbers_of([text.text for text in texts])
    found = [[mention for mention in linker.mentions(text.text) if _within(mention, text)] for text in texts]

    def counted(values: Iterable[int]) -> NDArray[np.int64]:
        return np.bincount(numbers, list(values), int(numbers.max()) + 1).astype(np.int64)

    def answers_above(floor: float) -> list[set[Answer]]:
        kept = (((m.start, m.end, m.entity) for m in each if m.confidence >= floor) for each in found)
        return [set(each) - (text.allowed - text.mentions) for each, text in zip(kept, texts, strict=True)]

    def scores(answers: list[set[Answer]]) -> dict[str, Any]:
        right = (len(own & text.mentions) for own, text in zip(answers, texts, strict=True))
        return f1_of_texts(counted(right), counted(map(len, answers)), gold, seed=seed)

    gold = counted(len(text.mentions) for text in texts)
    known = counted(sum(linker.knows(entity) for _, _, entity in text.mentions) for text in texts)
    answers = answers_above(linker.floor)
    right = counted(len(own & text.mentions) for own, text in zip(answers, texts, strict=True))
    predicted = counted(map(len, answers))
    spans = counted(
        len({answer[:2] for answer in own} & {answer[:2] for answer in text.mentions})
        for own, text in zip(answers, texts, strict=True)
    )
    kinds = [
        {answer: _kind(answer, text) for answer in own - text.mentions}
        for own, text in zip(answers, texts, strict=True)
    ]
    kept = [
        {answer for answer in own if kind.get(answer) != _KINDS[-1]}
        for own, kind in zip(answers, kinds, strict=True)
    ]
    totals = Counter(kind for each in kinds for kind in each.values())
    return {
        "texts": len(texts),
        "strict": scores(answers),
        "spans": f1_of_texts(spans, predicted, gold, seed=seed),
        "known": f1_of_texts(right, predicted, known, seed=seed),
        "without_common_nouns": scores(kept),
        "wrong": {kind: totals[kind] for kind in _KINDS},
        "thresholds": [{"min_confidence": floor, **scores(answers_above(floor))} for floor in THRESHOLDS],
    }


def _within(mention: Mention, text: GoldText) -> bool:
    return text.span[0] <= mention.start and mention.end <= text.span[1]


def _kind(answer: Answer, text: GoldText) -> str:
    """Which of `_KINDS` a wrong answer is."""
    start, end, _ = answer
    labels = text.mentions | text.allowed
    if any((start, end) == label[:2] for label in labels):
        return _KINDS[0]
    if any(label[0] < end and start < label[1] for label in labels):
        return _KINDS[1]
    return _KINDS[3] if text.text[start].islower() else _KINDS[2]
