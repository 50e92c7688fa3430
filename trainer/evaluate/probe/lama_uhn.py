"""LAMA-UHN (Poerner et al. 2020): LAMA without the facts that a name gives away."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.probe.lama import probe
from trainer.evaluate.probe.probing import BLANK, Prober, Query

_TEMPLATE = "{name} is a common name in the following {kind} : " + BLANK + " ."
_KINDS = {
    "place_of_birth": "city",
    "place_of_death": "city",
    "P19": "city",
    "P20": "city",
    "P27": "country",
    "P103": "language",
    "P1412": "language",
}
_TOP = 3


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """LAMA's score for the facts that both filters leave; `skipped` counts what they took.

    Args:
        model: a folder or hub id.
        data: as for LAMA.
        config: `probing.name_model` knows the names; the paper's is bert-base-cased.

    Returns:
        What `trainer.evaluate.probe.lama.evaluate` gives.

    Raises:
        UsageError: a model cannot be loaded.
        InputError: no facts, or a damaged file.
    """
    prober = Prober(model)
    namer = prober if config.probing.name_model is None else Prober(config.probing.name_model)

    def keep(queries: Sequence[Query], skipped: Counter[str]) -> list[Query]:
        left = [query for query in queries if not stands_in_subject(query)]
        unguessed = without_guessed(left, namer)
        skipped["string_match"] += len(queries) - len(left)
        skipped["person_name"] += len(left) - len(unguessed)
        return unguessed

    return probe(prober, data, config, keep=keep)


def stands_in_subject(query: Query) -> bool:
    """The object's name is a part of the subject's, case aside: Apple and Apple Watch."""
    return query.names[0].lower() in query.subject_name.lower()


def without_guessed(queries: Sequence[Query], namer: Prober) -> list[Query]:
    """The queries whose object is not among the first three guesses for any word of a person's name."""
    asked = [
        (query, name) for query in queries if query.relation in _KINDS for name in query.subject_name.split()
    ]
    texts = [_TEMPLATE.format(name=name, kind=_KINDS[query.relation]) for query, name in asked]
    distinct = [text for text in dict.fromkeys(texts) if namer.fits(text, 1)]
    best: dict[str, set[int]] = {}
    for text, table in zip(distinct, namer.log_probabilities(distinct, [1] * len(distinct)), strict=True):
        best[text] = set(np.argpartition(-table[0], _TOP)[:_TOP].tolist())
    guessed = {
        id(query)
        for (query, _), text in zip(asked, texts, strict=True)
        if (tokens := namer.tokens(text, query.names[0]))
        and len(tokens) == 1
        and tokens[0] in best.get(text, ())
    }
    return [query for query in queries if id(query) not in guessed]
