"""Entities in sequences of IOB tags, scored as conlleval and seqeval's default mode do."""

from collections import Counter
from collections.abc import Iterator, Sequence

from trainer.evaluate.metrics import precision_recall_f1


def entities(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """(type, first word, word after the last) of each entity; IOB1, IOB2, IOE and IOBES are read alike.

    An entity ends before O, B, S, or another type, and after E or S; an I or E that nothing precedes begins
    one, as a model's tags do not keep to any scheme.
    """
    start, kind, ended = 0, "", True
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        goes_on = prefix in ("I", "E") and not ended and name == kind
        if not goes_on:
            if kind:
                yield kind, start, i
            start, kind = i, name
        ended = prefix in ("E", "S", "O")


def entity_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Micro `precision`, `recall` and `f1` of entities whose type and borders are right.

    Args:
        gold, predicted: the tags of each sentence's words.
    """
    counts: Counter[str] = Counter()
    for expected, found in zip(gold, predicted, strict=True):
        one, other = set(entities(expected)), set(entities(found))
        counts.update(right=len(one & other), gold=len(one), predicted=len(other))
    return precision_recall_f1(counts["right"], counts["predicted"], counts["gold"])
