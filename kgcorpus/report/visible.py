"""Escaping of control characters, so that printed data cannot control a terminal or a page."""

import re

# C0, C1 and DEL (escape sequences), line separators, the controls that reorder text, and lone surrogates.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Return the text on one line, with control characters escaped: `\n`, `\x1b`, `\u202e`."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
