"""Normalisation of names and descriptions to one line of visible text."""

import re

# Zero-width and bidirectional marks, soft hyphens, byte order marks. The joiners U+200C and U+200D are not
# among them: within words, Persian, Indic scripts and emoji need them.
_MARKS = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
_BREAKS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_JOINERS = "\u200c\u200d"
INVISIBLE = re.compile(f"[{_MARKS}]")
_BREAK = re.compile(f"[{_BREAKS}]")
_SPACES = re.compile(r"\s{2,}")
_ODD = re.compile(rf"[{_MARKS}{_BREAKS}]|^[\s{_JOINERS}]|[\s{_JOINERS}]$|\s\s")


def one_line(text: str) -> str:
    """The text without invisible marks, with one space for tabs, line ends and runs of spaces.

    Spans count the code points that a reader sees, and a name in a record never spans lines.
    """
    # The pattern is slow, and most names are printable ASCII without spaces to remove.
    is_plain = text.isascii() and text.isprintable() and "  " not in text and text == text.strip()
    if is_plain or not _ODD.search(text):
        return text
    visible = INVISIBLE.sub("", _BREAK.sub(" ", text))
    previous = ""
    while visible != previous:
        previous, visible = visible, _SPACES.sub(" ", visible).strip().strip(_JOINERS)
    return visible
