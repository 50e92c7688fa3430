"""Writing systems without spaces between words, and Korean particles: one list for every part."""

import re

from kgcorpus.contracts.languages import language_key

# Chinese, Japanese and the Chinese languages written in Han: no spaces, not even between sentences.
_UNSPACED_LANGUAGES = frozenset({"gan", "ja", "lzh", "wuu", "yue", "zh"})
# Southern Min is written in Latin letters, whatever the code of its Wikipedia begins with.
_SPACED_VARIANTS = frozenset({"zh-min-nan"})

HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
HIRAGANA = (0x3041, 0x309F)
KATAKANA = (0x30A0, 0x30FF)
HANGUL = (0xAC00, 0xD7A3)
# Scripts in which each character counts as a token of its own. A run of katakana is a word.
UNSPACED_SCRIPTS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    HIRAGANA,
    (0x3100, 0x312F),  # bopomofo
    *HAN,
)
# Particles that Korean writes onto a noun, one or two of them.
_PARTICLES = (
    "은 는 이 가 을 를 의 에 에서 에게 에게서 께 께서 한테 도 만 로 으로 와 과 랑 이랑 나 이나 라 이라"
    " 란 이란 인 보다 부터 까지 처럼 마다 조차 밖에 이다 였다 이었다 이며 이고 고 들"
)
KOREAN_PARTICLES = tuple(_PARTICLES.split())
# The particles between a name and the end of the word.
PARTICLES = re.compile(rf"(?:{'|'.join(KOREAN_PARTICLES)}){{1,2}}(?!\w)")


def is_unspaced(lang: str) -> bool:
    """Whether a language, or the one that its code is a variant of (`zh-Hant`), is written without spaces."""
    code = language_key(lang)
    return code not in _SPACED_VARIANTS and code.partition("-")[0] in _UNSPACED_LANGUAGES


def character_class(*ranges: tuple[int, int]) -> str:
    """The ranges of code points inside the brackets of a regular expression."""
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


# The unspaced scripts inside the brackets of a regular expression.
UNSPACED_CHARACTERS = character_class(*UNSPACED_SCRIPTS)
