"""Texts with gold mentions, one JSON object a line (ELEVANT's form), and the linker's score on them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.ids import read_id
from kgcorpus.inputs import DEFAULT_LIMITS, Limits, decoded, read_lines
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import f1

Answer = tuple[int, int, str]
# What ELEVANT writes instead of an id: mentions of entities without an item, amounts and dates.
_NO_ENTITY = re.compile(
    r"|unknown(?:nomapping)?\d*|nil\d*|<(?:nil|no_mapping|unknown)>|quantity|datetime", re.IGNORECASE
)


@dataclass(frozen=True)
class GoldText:
    """A text and its mentions.

    Attributes:
        span: the part of the text that is annotated.
        mentions: (start, end, QID) that a linker must find.
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
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[GoldText]:
    """The texts of a file; objects need `text` and `labels` ({span, entity_id}).

    Args:
        path: the file.
        is_entity: whether the build has an entity with an id. Of other ids, those that ELEVANT writes for
            mentions without an item, amounts and dates (`NIL`, `QUANTITY`) are left out.
        limits: of the input.

    Raises:
        InputError: a line is not such an object; or as `read_lines`.
    """
    for number, raw in read_lines(str(path), limits=limits):
        if not raw.strip():
            continue
        try:
            text = _gold_text(parse_json(decoded(raw)), is_entity)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"is not a text with gold mentions ({error!r})",
                where=f"{path}, line {number}",
                hint="Give ELEVANT's form: text, labels: [{span: [start, end], entity_id}]",
            ) from None
        yield text


def _gold_text(row: dict[str, Any], is_entity: Callable[[str], bool]) -> GoldText:
    must: set[Answer] = set()
    may: set[Answer] = set()
    for label in row["labels"]:
        start, end = map(index, label["span"])
        lesser = label.get("parent") is not None or label.get("optional") or label.get("coref")
        written = label["entity_id"]
        if not _NO_ENTITY.fullmatch(written) or is_entity(written):
            (may if lesser else must).add((start, end, read_id(written)))
    text = row["text"]
    if not isinstance(text, str):
        raise TypeError(f"the text is {text!r}")
    start, end = map(index, row.get("evaluation_span") or (0, len(text)))
    return GoldText(text, (start, end), frozenset(must), frozenset(may))


def score_gold(linker: Linker, texts: list[GoldText]) -> dict[str, Any]:
    """Strict F1: a mention counts if its span and its entity are right.

    `known` is the same over the gold mentions whose entity has a name in the dictionary, `spans` without
    regard to the entity.
    """
    right = predicted = gold = known = spans = 0
    for text in texts:
        found = {
            (m.start, m.end, m.entity)
            for m in linker.link(text.text)
            if text.span[0] <= m.start and m.end <= text.span[1]
        }
        found -= text.allowed - text.mentions
        right += len(found & text.mentions)
        predicted += len(found)
        gold += len(text.mentions)
        known += sum(linker.knows(entity) for _, _, entity in text.mentions)
        spans += len({answer[:2] for answer in found} & {answer[:2] for answer in text.mentions})
    return {
        "texts": len(texts),
        "strict": f1(right, predicted, gold),
        "spans": f1(spans, predicted, gold),
        "known": f1(right, predicted, known),
    }
