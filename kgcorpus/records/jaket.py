"""JAKET's entities (arXiv 2010.00796, section 4.1): selection, descriptions and categories."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from kgcorpus.contracts.scripts import HAN, HIRAGANA, KATAKANA, character_class
from kgcorpus.contracts.tally import Tally

DescriptionSource = Literal["page_head", "text_table", "first_mention"]
DescriptionWindow = Literal["mention", "first"]

_CJK = character_class(HIRAGANA, KATAKANA, *HAN)
# Units between which a description may be cut: a run of non-spaces, or one character of Han or kana.
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
    """Return an entity's description from the first source that has one, with the entity's mention in it.

    A text that consists only of a name or mention of the entity is skipped.

    Args:
        qid: the entity.
        sources: sources in order of preference.
        page_head: the start of the entity's page (a row of `linked_sentences` or `passages`), or None.
        text: the entity's description in the text table, or None.
        first_mention: the first sentence or passage that mentions the entity, or None.
        names: the entity's labels and aliases.
        max_tokens: maximum length in tokens (64 in JAKET, section 4.1); longer descriptions are cut.
        window: keep the words around the mention (`mention`), or the first words (`first`, as in the paper).
        count_tokens: texts -> their lengths in tokens, without special tokens.
        tally: counts `described_by_<source>` and `description_without_mention`; drops `description_is_name`.

    Returns:
        {qid, text, start, end, page}: start and end are null if the text does not mention the entity; `page`
        is null if the text is from the text table. None if no source has a text.
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
    """Return the most frequent of the entity's classes; ties are broken by the smallest id."""
    # Comparing lengths first orders numeric ids such as Q5 and Q11424 by their number.
    return min(types, key=lambda kind: (-frequency.get(kind, 0), len(kind), kind), default=None)


def keep_entity(
    *, has_description: bool, neighbours: int, mentions: int, min_neighbours: int = 5, min_mentions: int = 5
) -> bool:
    """Whether JAKET's graph keeps the entity: it has a description, and enough neighbours or mentions."""
    return has_description and (neighbours >= min_neighbours or mentions >= min_mentions)


def is_category_edge(
    triple: tuple[str, str, str], categories: Mapping[str, str | None], category_relation: str
) -> bool:
    """Whether the edge reveals its head's category, which the model has to predict.

    True for edges to all of an entity's classes, because the other classes nearly determine the chosen one.
    """
    head, relation, _ = triple
    return relation == category_relation and categories.get(head) is not None


def _is_name(text: str, names: Sequence[str]) -> bool:
    bare = text.strip().rstrip(".。").casefold()
    return any(bare == name.strip().rstrip(".。").casefold() for name in names)


def _find_name(text: str, names: Sequence[str]) -> tuple[int, int] | None:
    """Span of the first occurrence of the longest name that occurs as whole words."""
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
    """Span of the units that fit into `max_tokens`, grown on both sides of `span`, or from the start."""
    units = [unit.span() for unit in _UNITS.finditer(text)]
    starts, ends = [start for start, _ in units], [end for _, end in units]
    # Each unit is counted together with the space before it.
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
