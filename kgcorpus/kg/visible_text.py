"""Names and descriptions as one line of visible text, and ids without invisible characters."""

import re

# Zero-width and bidirectional marks, soft hyphens, byte order marks. The joiners U+200C and U+200D are not
# among them: within words, Persian, Indic scripts and emoji need them.
_MARKS = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
_BREAKS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_JOINERS = "\u200c\u200d"
INVISIBLE = re.compile(f"[{_MARKS}]")
# Of Unicode 17: control and line-separator characters, format characters (Cf), and the default-ignorable
# ones, among them variation selectors and Hangul fillers. The tab is left out: it separates columns.
_FORMAT = (
    r"\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_IGNORABLE = r"\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff"
INVISIBLE_IN_IDS = re.compile(rf"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029{_FORMAT}{_IGNORABLE}]")
_BREAK = re.compile(f"[{_BREAKS}]")
_SPACES = re.compile(r"\s{2,}")
_ODD = re.compile(rf"[{_MARKS}{_BREAKS}]|^[\s{_JOINERS}]|[\s{_JOINERS}]$|\s\s")


def one_line(text: str) -> str:
    """The text without invisible marks, with one space for tabs, line ends and runs of spaces.

    Spans count the code points that a reader sees, and a name in a record never spans lines.
    """
    if not _ODD.search(text):
        return text
    visible = INVISIBLE.sub("", _BREAK.sub(" ", text))
    previous = ""
    while visible != previous:
        previous, visible = visible, _SPACES.sub(" ", visible).strip().strip(_JOINERS)
    return visible
