"""Data shown to a person must not steer the terminal or the page it is shown on."""

import re

# C0, C1 and DEL (escape sequences), line separators, the controls that reorder text, and lone surrogates.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""The text on one line, with control characters written as escapes: `\n`, `\x1b`, `\u202e`."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
