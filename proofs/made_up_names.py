"""Made-up words for the names of the proofs' worlds, so that no name tells a model anything."""

_ONSETS, _VOWELS, _CODAS = "bdfgklmnprstvz", "aeiou", ("", "n", "r", "s")

SYLLABLES = [onset + vowel + coda for onset in _ONSETS for vowel in _VOWELS for coda in _CODAS]
WORDS = [first + second for first in SYLLABLES for second in SYLLABLES[::7]]
