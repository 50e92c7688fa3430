"""Ids of entities and relations: opaque strings, under one rule in every file, option and command."""

import re

from kgcorpus.contracts.languages import LANGUAGE_CODE

# Of Unicode 17: control and line-separator characters, format characters (Cf), and the default-ignorable
# ones, among them variation selectors and Hangul fillers. The tab is left out: it separates columns.
_FORMAT = (
    r"\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_IGNORABLE = r"\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff"
# The joiners U+200C and U+200D are part of words in scripts with joined letters (UAX #31, section 2.3):
# between two of their letters, or behind a virama.
_JOINED = r"\u0620-\u064a\u066e-\u06d5\u06ee-\u08e1\u0900-\u0dff\u0f00-\u109f\u1780-\u17dd\u1807\u1820-\u18aa"
_VIRAMA = r"\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2"
_LONE_JOINER = rf"(?<![{_JOINED}])[\u200c\u200d]|(?<![{_VIRAMA}])[\u200c\u200d](?![{_JOINED}])"
INVISIBLE_IN_IDS = re.compile(
    rf"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029{_FORMAT}{_IGNORABLE}]|{_LONE_JOINER}"
)
# A link target that is no id (`kgcorpus.linking.targets`): a page without an item.
PAGE_TARGET = re.compile(rf"\[\[(?:{LANGUAGE_CODE.pattern}):(.*)\]\]", re.DOTALL)


def read_id(field: str) -> str:
    """Return the id in a field, without the white space around it.

    Any other string is an id: `Q64`, `dbr:Berlin`, a URI, a name with spaces, `007`, `null`.

    Raises:
        ValueError: the field is empty, contains a tab, a line end or an invisible character, by which an id
            looks like another one, or has the form `[[lang:title]]` of a page without an item.
    """
    ident = field.strip()
    if not ident:
        raise ValueError("is empty")
    if "\t" in ident:
        raise ValueError("contains a tab, which separates columns")
    if mark := INVISIBLE_IN_IDS.search(ident):
        raise ValueError(f"contains the invisible character U+{ord(mark[0]):04X}")
    if PAGE_TARGET.fullmatch(ident):
        raise ValueError(f"{ident[:40]!r} has the form of a page without an item: write it without [[ ]]")
    return ident
