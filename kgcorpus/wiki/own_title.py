"""A document's mention of its own subject: the first place at which its title occurs in its text."""

import re

from kgcorpus.contracts.scripts import PARTICLES, UNSPACED_CHARACTERS, is_unspaced
from kgcorpus.contracts.typography import PLAIN, VARIANTS

# A compound is a word of its own: no "Austria" in "Austria-Hungary".
_HYPHENS = r"[-\u2010\u2011]"
# White space within a line, of any width.
_SPACES = "[ \\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+"
_PARENTHESIS = re.compile(r"\s*[(\uff08][^()\uff08\uff09]*[)\uff09]$")


def bare_title(title: str) -> str:
    """A title without its disambiguating parenthesis: "Mercury (planet)" -> "Mercury"."""
    return _PARENTHESIS.sub("", title) or title


def _pattern(text: str) -> str:
    """A regular expression for the text in any typography."""
    return "".join(map(_variants, text))


def _variants(character: str) -> str:
    if character == " ":
        return _SPACES
    plain = PLAIN.get(character, character)
    return f"[{re.escape(plain + VARIANTS[plain])}]" if plain in VARIANTS else re.escape(character)


def first_mention(title: str, text: str, lang: str) -> tuple[int, int] | None:
    """Return the first span of `text` that holds the title as whole words, or None.

    The title is compared without its parenthesis, and with its first letter in either case, because a
    title always begins with a capital. Any horizontal white space equals a space, and typographic
    apostrophes, quotation marks and hyphens equal the ASCII ones. A part of a hyphenated compound does not
    count.

    Args:
        lang: decides what a word border is: in Chinese and Japanese every ideograph has one on both sides,
            in Korean a particle may follow the title.
    """
    name = " ".join(bare_title(title).split())
    if not any(map(str.isalnum, name)):
        return None
    start, rest = _pattern(name[0]), _pattern(name[1:])
    if (other := name[0].lower()) != name[0]:
        start = f"(?:{start}|{re.escape(other)})"
    word = rf"[^\W{UNSPACED_CHARACTERS}]" if is_unspaced(lang) else r"\w"
    before = rf"(?<!{word})(?<!{word}{_HYPHENS})" if re.match(word, name[0]) else ""
    after = rf"(?!{word})(?!{_HYPHENS}{word})" if re.match(word, name[-1]) else ""
    if lang == "ko" and after:
        after = f"(?:{after}|(?={PARTICLES.pattern}))"
    found = re.search(f"{before}{start}{rest}{after}", text)
    return found.span() if found else None
