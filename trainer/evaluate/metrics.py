"""Metrics of classification and regression, by their benchmarks' own definitions."""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.floating[Any]]
# A text -> its words, without case, punctuation and articles.
Normalise = Callable[[str], list[str]]
_ENGLISH = r"\b(a|an|the)\b"
# MLQA's: an Arabic article is a prefix.
_ARTICLES = {
    "en": _ENGLISH,
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": r"\sال^|ال",
}
_PUNCTUATION = set(string.punctuation)
_HAN = re.compile(r"[一-龥]")


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of equal labels."""
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold)


def f_measure(right: float, predicted: float, gold: float) -> float:
    """Harmonic mean of right / predicted and right / gold; 0 where it is not defined."""
    return 2 * right / (predicted + gold) if right else 0.0


def precision_recall_f1(right: float, predicted: float, gold: float, prefix: str = "") -> dict[str, float]:
    """`precision`, `recall` and `f1` of counts, each 0 where it is not defined; `prefix` opens the names."""
    return {
        f"{prefix}precision": right / predicted if predicted else 0.0,
        f"{prefix}recall": right / gold if gold else 0.0,
        f"{prefix}f1": f_measure(right, predicted, gold),
    }


def f1_of(label: str, gold: Sequence[str], predicted: Sequence[str]) -> float:
    """F1 of one label against all others."""
    right = sum(g == p == label for g, p in zip(gold, predicted, strict=True))
    return f_measure(right, sum(p == label for p in predicted), sum(g == label for g in gold))


def micro_scores(gold: Sequence[str], predicted: Sequence[str], *, without: str) -> dict[str, float]:
    """`micro_precision`, `micro_recall` and `micro_f1` over all labels but one, as TACRED's scorer has it.

    `without` is neither a hit nor a guess.
    """
    right = sum(g == p != without for g, p in zip(gold, predicted, strict=True))
    counts = sum(p != without for p in predicted), sum(g != without for g in gold)
    return precision_recall_f1(right, *counts, prefix="micro_")


def macro_scores(
    gold: Sequence[str], predicted: Sequence[str], *, without: Collection[str] = ()
) -> dict[str, float]:
    """`macro_precision`, `macro_recall` and `macro_f1`: means over the labels in `gold` not in `without`."""
    labels = sorted(set(gold) - set(without))
    right = Counter(g for g, p in zip(gold, predicted, strict=True) if g == p)
    return _means(labels, right, Counter(predicted), Counter(gold))


def _means(
    labels: Sequence[str], right: Counter[str], predicted: Counter[str], gold: Counter[str]
) -> dict[str, float]:
    scores = [precision_recall_f1(right[x], predicted[x], gold[x], prefix="macro_") for x in labels]
    names = ("macro_precision", "macro_recall", "macro_f1")
    return {name: sum(score[name] for score in scores) / max(1, len(scores)) for name in names}


def directed_macro_scores(gold: Sequence[str], predicted: Sequence[str], *, without: str) -> dict[str, float]:
    """`macro_scores` of relations `name(e1,e2)`, as SemEval-2010 Task 8's official scorer has it.

    A relation's two directions are one class, in which only the right direction is a hit.
    """
    names = [_undirected(label) for label in gold]
    guessed = Counter(map(_undirected, predicted))
    right = Counter(name for name, g, p in zip(names, gold, predicted, strict=True) if g == p)
    counts = Counter(names)
    del counts[without]
    return _means(sorted(counts), right, guessed, counts)


def _undirected(label: str) -> str:
    return label.partition("(")[0]


def matthews(gold: Sequence[str], predicted: Sequence[str], *, positive: str = "1") -> float:
    """Matthews correlation of two classes (CoLA); 0 where one of them is never said."""
    pairs = Counter((g == positive, p == positive) for g, p in zip(gold, predicted, strict=True))
    tp, tn = pairs[True, True], pairs[False, False]
    fp, fn = pairs[False, True], pairs[True, False]
    scale = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / scale if scale else 0.0


def pearson(x: Numbers, y: Numbers) -> float:
    """Pearson's correlation; 0 of a constant."""
    a, b = (v - v.mean() for v in (np.asarray(x, np.float64), np.asarray(y, np.float64)))
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale else 0.0


def spearman(x: Numbers, y: Numbers) -> float:
    """Pearson's correlation of the ranks; equal values share their mean rank."""
    return pearson(_ranks(x), _ranks(y))


def _ranks(values: Numbers) -> NDArray[np.float64]:
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def label_sets(gold: Iterable[Collection[str]], predicted: Iterable[Collection[str]]) -> dict[str, float]:
    """Entity typing's scores (Ling and Weld 2012): loose micro and macro P, R and F1, and strict accuracy."""
    pairs = [(set(g), set(p)) for g, p in zip(gold, predicted, strict=True)]
    hits = [len(g & p) for g, p in pairs]
    precision = sum(hit / len(p) for hit, (_, p) in zip(hits, pairs, strict=True) if p) / len(pairs)
    recall = sum(hit / len(g) for hit, (g, _) in zip(hits, pairs, strict=True) if g) / len(pairs)
    return {
        **precision_recall_f1(
            sum(hits),
            sum(len(p) for _, p in pairs),
            sum(len(g) for g, _ in pairs),
            prefix="loose_micro_",
        ),
        "loose_macro_precision": precision,
        "loose_macro_recall": recall,
        "loose_macro_f1": 2 * precision * recall / (precision + recall) if precision and recall else 0.0,
        "strict_accuracy": sum(g == p for g, p in pairs) / len(pairs),
    }


def squad_words(text: str) -> list[str]:
    """SQuAD's: English articles and ASCII punctuation go; words are parted by spaces."""
    kept = "".join(c for c in text.lower() if c not in _PUNCTUATION)
    return re.sub(_ENGLISH, " ", kept).split()


def mlqa_words(text: str, *, lang: str) -> list[str]:
    """MLQA's: the language's articles and all Unicode punctuation go; a Han character is a word."""
    kept = "".join(c for c in text.lower() if c not in _PUNCTUATION and unicodedata.category(c)[0] != "P")
    if lang in _ARTICLES:
        kept = re.sub(_ARTICLES[lang], " ", kept)
    if lang == "zh":
        kept = _HAN.sub(lambda match: f" {match[0]} ", kept)
    return kept.split()


def best(predicted: str, answers: Iterable[str], normalise: Normalise) -> tuple[float, float]:
    """Exact match and F1 of a prediction against the answer that suits it best."""
    found = normalise(predicted)
    scores = [(float(found == words), _overlap(found, words)) for words in map(normalise, answers)]
    return max(exact for exact, _ in scores), max(f1 for _, f1 in scores)


def _overlap(found: list[str], words: list[str]) -> float:
    return f_measure((Counter(found) & Counter(words)).total(), len(found), len(words))
