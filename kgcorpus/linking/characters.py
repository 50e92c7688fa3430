"""Character classes for the spotter: part of a word, token of its own, space, or ignored.

One table by code point serves the names and the texts, so both are read by the same rules. It is saved beside
the dictionary, for a later Python may know more characters than the one that built it.
"""

import sys
import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.scripts import UNSPACED_SCRIPTS
from kgcorpus.contracts.typography import PLAIN

Codes = NDArray[np.uint32]

# A line break ends a match. Marks belong to the token before them. Syllables are Korean: tokens whose
# borders are those of the written word, or precede particles. Single characters (Han, hiragana, Thai,
# punctuation) have borders on both sides.
BREAK, SPACE, IGNORED, WORD, MARK, SYLLABLE, SINGLE = range(7)
CLASS_BITS = 3

_ASSIGNED = 0x34000  # later code points are private characters, and:
_CASED = 0x20000  # no later character has a lower case
_TAGS = range(0xE0000, 0xE0200)
_SYLLABLES = (0xAC00, 0xD7A3)
_LINE_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"
_JAMO = (0x1160, 0x11FF)  # letters that continue a Korean syllable


@lru_cache(maxsize=1)
def character_table() -> Codes:
    """[0x110000] the folded character (NFKC where that is one character) and its class in the low 3 bits."""
    table: Codes = np.arange(sys.maxunicode + 1, dtype=np.uint32) << np.uint32(CLASS_BITS) | np.uint32(SINGLE)
    for code in (*range(_ASSIGNED), *_TAGS):
        folded = _fold(chr(code))
        table[code] = ord(folded) << CLASS_BITS | _class_of(folded)
    return table


@lru_cache(maxsize=1)
def lower_character_table() -> Codes:
    """The same with the folded character in lower case, where that is one character."""
    table = character_table()
    lower = np.arange(len(table), dtype=np.uint32)
    for code in range(_CASED):
        small = chr(code).lower()
        if len(small) == 1:
            lower[code] = ord(small)
    return lower[table >> CLASS_BITS] << np.uint32(CLASS_BITS) | table & np.uint32(7)


@lru_cache(maxsize=1)
def _foldings() -> dict[int, str | None]:
    """What `str.translate` must change: ignored characters go, folded ones change, spaces become one kind."""
    table = character_table()
    kind, folded = table & 7, table >> CLASS_BITS
    found: dict[int, str | None] = dict.fromkeys(np.flatnonzero(kind == IGNORED).tolist())
    found |= dict.fromkeys(np.flatnonzero((kind == SPACE) | (kind == BREAK)).tolist(), " ")
    changed = np.flatnonzero((folded != np.arange(len(table))) & (kind >= WORD))
    return found | {code: chr(folded[code]) for code in changed.tolist()}


def normalise(name: str) -> str:
    """A name as the dictionary holds it: NFC, folded, runs of white space as one space, none at the ends."""
    name = unicodedata.normalize("NFC", name)
    name = name.replace("`", "'") if name.isascii() else name.translate(_foldings())
    return " ".join(name.split())


def codes_of(text: str) -> Codes:
    """[n] a text's code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def composed(text: str, marks: NDArray[np.int64]) -> tuple[str, NDArray[np.int64] | None]:
    """The text in NFC, and [n + 1] where its characters and its end stood in `text`; None if nothing changed.

    Args:
        marks: places of the characters of class MARK; where none is near, NFC changes only what is folded.
    """
    runs = np.split(marks, np.flatnonzero(np.diff(marks) != 1) + 1) if len(marks) else []
    pieces, lengths, done = [], [], 0
    for run in runs:
        start, end = max(0, int(run[0]) - 1), int(run[-1]) + 1
        piece = unicodedata.normalize("NFC", text[start:end])
        if piece != text[start:end]:
            pieces += [text[done:start], piece]
            lengths += [np.arange(done, start), np.full(len(piece), start)]
            done = end
    if not pieces:
        return text, None
    return "".join([*pieces, text[done:]]), np.concatenate([*lengths, np.arange(done, len(text) + 1)])


def _fold(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 else character


def _class_of(character: str) -> int:
    code, category = ord(character), unicodedata.category(character)
    kind = SINGLE
    if character in _LINE_BREAKS:
        kind = BREAK
    elif character.isspace():
        kind = SPACE
    elif category in ("Cf", "Cc", "Cs") or 0xFE00 <= code <= 0xFE0F:
        kind = IGNORED
    elif category[0] == "M" or _JAMO[0] <= code <= _JAMO[1]:
        kind = MARK
    elif _SYLLABLES[0] <= code <= _SYLLABLES[1]:
        kind = SYLLABLE
    elif category[0] in "LN" and not any(first <= code <= last for first, last in UNSPACED_SCRIPTS):
        kind = WORD
    return kind
