"""Exact match and F1 of answers, as the official scripts of SQuAD 1.1 and MLQA compute them."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

from trainer.evaluate.metrics import f_measure

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
