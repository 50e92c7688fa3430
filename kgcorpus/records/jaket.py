"""JAKET's entities (arXiv 2010.00796, section 4.1): which are kept, their descriptions and categories."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from kgcorpus.contracts.tally import Tally

DescriptionSource = Literal["page_head", "text_table", "first_mention"]
DescriptionWindow = Literal["mention", "first"]

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A description may be cut before any of these: a run of non-spaces, or one character of Han or kana.
_UNITS = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")


def describe(
    qid: str,
    *,
    sources: Sequence[DescriptionSource],
    page_head: Mapping[str, Any] | None,
    text: str | None,
    first_mention: Mapping[str, Any] | None,
    names: Sequence[str],
    max_tokens: int,
    window: DescriptionWindow,
    count_tokens: Callable[[list[str]], list[int]],
    tally: Tally,
) -> dict[str, Any] | None:
    """An entity's description, with the entity's own mention in it, from the first source that has one.

    A text that says no more than a name of the entity, or its mention, describes nothing: it is refused.

    Args:
        qid: the entity.
        sources: in order of preference.
        page_head: the start of its page (a row of `linked_sentences` or `passages`), or None; its `page_id`
            is passed on.
        text: its description in the text table, or None.
        first_mention: the first sentence or passage that mentions it, or None.
        names: its labels and aliases.
        max_tokens: a longer description is cut (JAKET, section 4.1: 64).
        window: the cut keeps the words around the mention, or the first words, as the paper does.
        count_tokens: texts -> their lengths in tokens, special tokens left out.
        tally: counts `described_by_<source>`, `description_without_mention`; `description_is_name` as a drop.

    Returns:
        {qid, text, start, end, page}: start and end are null if the text has no mention of the entity, `page`
        if the text is from the text table. None if no source gives a text.
    """
    rows = {"page_head": page_head, "first_mention": first_mention}
    for source in sources:
        row = rows.get(source)
        candidate = text if source == "text_table" else row and row["text"]
        if not candidate or not candidate.strip():
            continue
        mentions = row["mentions"] if row else ()
        own = next(((m["start"], m["end"]) for m in mentions if m["qid"] == qid), None)
        if _is_name(candidate, [*names, candidate[slice(*own)]] if own else names):
            tally.drop("description_is_name")
            continue
        span = own or _find_name(candidate, names)
        centre = span if window == "mention" else None
        start, end = _window(candidate, centre, max_tokens=max_tokens, count_tokens=count_tokens)
        if span and not start <= span[0] < span[1] <= end:
            span = None
        tally.count(f"described_by_{source}")
        tally.count("description_without_mention", span is None)
        return {
            "qid": qid,
            "text": candidate[start:end],
            "start": None if span is None else span[0] - start,
            "end": None if span is None else span[1] - start,
            "page": row["page_id"] if row else None,
        }
    return None


def category(types: Sequence[str], *, frequency: Mapping[str, int]) -> str | None:
    """The entity's class: of several the most frequent, of equals the one with the smallest id."""
    # Of ids without leading zeros, the shorter is the smaller number.
    return min(types, key=lambda kind: (-frequency.get(kind, 0), len(kind), kind), default=None)


def keep_entity(
    *, has_description: bool, neighbours: int, mentions: int, min_neighbours: int = 5, min_mentions: int = 5
) -> bool:
    """Whether the entity is part of JAKET's graph: described, and well connected or often mentioned."""
    return has_description and (neighbours >= min_neighbours or mentions >= min_mentions)


def is_category_edge(
    triple: tuple[str, str, str], categories: Mapping[str, str | None], category_relation: str
) -> bool:
    """Whether the edge would give away its head's category, which the model has to predict.

    Not only the edge to the chosen class: an entity's other classes all but name it.
    """
    head, relation, _ = triple
    return relation == category_relation and categories.get(head) is not None


def _is_name(text: str, names: Sequence[str]) -> bool:
    bare = text.strip().rstrip(".。").casefold()
    return any(bare == name.strip().rstrip(".。").casefold() for name in names)


def _find_name(text: str, names: Sequence[str]) -> tuple[int, int] | None:
    """The first occurrence of the longest name that stands in the text as whole words."""
    for name in sorted({name.strip() for name in names} - {""}, key=lambda name: (-len(name), name)):
        found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
        if found:
            return found.span()
    return None


def _window(
    text: str,
    span: tuple[int, int] | None,
    *,
    max_tokens: int,
    count_tokens: Callable[[list[str]], list[int]],
) -> tuple[int, int]:
    """The widest run of units around the span that fits, grown on both sides; without one, from the start."""
    units = [unit.span() for unit in _UNITS.finditer(text)]
    starts, ends = [start for start, _ in units], [end for _, end in units]
    # Each unit is counted with the space before it, as it stands in the text.
    lengths = count_tokens([text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)])
    left, right = 0, 1
    if span is not None:
        left = max(bisect_right(starts, span[0]) - 1, 0)
        right = min(bisect_left(ends, span[1]) + 1, len(units))
    room = max_tokens - sum(lengths[left:right])
    grown = True
    while grown:
        grown = False
        if right < len(units) and lengths[right] <= room:
            room -= lengths[right]
            right += 1
            grown = True
        if left > 0 and lengths[left - 1] <= room:
            room -= lengths[left - 1]
            left -= 1
            grown = True
    return starts[left], ends[right - 1]
