"""Script and region variants of languages, and the codes that languages had before.

Codes are keys (`kgcorpus.contracts.languages.language_key`): lower case, with hyphens.
"""

from collections.abc import Iterator, Mapping

_CHINESE = ("zh-hans", "zh-hant", "zh-cn", "zh-tw", "zh-hk", "zh-sg", "zh-mo", "zh-my")
# Language -> variant -> variants that MediaWiki's language conversion falls back to, best first. The first
# variant of a language is its own code.
CONVERSIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "zh": {
        "zh": _CHINESE,
        "zh-hans": ("zh-cn", "zh-sg", "zh-my"),
        "zh-hant": ("zh-tw", "zh-hk", "zh-mo"),
        "zh-cn": ("zh-hans", "zh-sg", "zh-my"),
        "zh-sg": ("zh-my", "zh-hans", "zh-cn"),
        "zh-my": ("zh-sg", "zh-hans", "zh-cn"),
        "zh-tw": ("zh-hant", "zh-hk", "zh-mo"),
        "zh-hk": ("zh-mo", "zh-hant", "zh-tw"),
        "zh-mo": ("zh-hk", "zh-hant", "zh-tw"),
    },
    "gan": {"gan": ("gan-hans", "gan-hant"), "gan-hans": (), "gan-hant": ()},
    "sr": {
        "sr": ("sr-ec", "sr-cyrl", "sr-el", "sr-latn"),
        "sr-ec": ("sr-cyrl",),
        "sr-cyrl": ("sr-ec",),
        "sr-el": ("sr-latn",),
        "sr-latn": ("sr-el",),
    },
    "sh": {"sh": ("sh-latn", "sh-cyrl"), "sh-latn": (), "sh-cyrl": ()},
    "kk": {
        "kk": ("kk-cyrl", "kk-latn", "kk-arab", "kk-kz", "kk-tr", "kk-cn"),
        "kk-cyrl": ("kk-kz",),
        "kk-latn": ("kk-tr",),
        "kk-arab": ("kk-cn",),
        "kk-kz": ("kk-cyrl",),
        "kk-tr": ("kk-latn",),
        "kk-cn": ("kk-arab",),
    },
    "ku": {"ku": ("ku-latn", "ku-arab"), "ku-latn": (), "ku-arab": ()},
    "uz": {"uz": ("uz-latn", "uz-cyrl"), "uz-latn": (), "uz-cyrl": ()},
    "tg": {"tg": ("tg-latn",), "tg-latn": ()},
    "crh": {"crh": ("crh-latn", "crh-cyrl"), "crh-latn": (), "crh-cyrl": ()},
    "iu": {"iu": ("ike-cans", "ike-latn"), "ike-cans": (), "ike-latn": ()},
    "shi": {"shi": ("shi-tfng", "shi-latn"), "shi-tfng": (), "shi-latn": ()},
}
# Code of a Wikipedia -> the present code of its language, under which Wikidata has the names.
FORMER_CODES = {
    "als": "gsw",
    "bat-smg": "sgs",
    "be-x-old": "be-tarask",
    "fiu-vro": "vro",
    "no": "nb",
    "roa-rup": "rup",
    "zh-classical": "lzh",
    "zh-min-nan": "nan",
    "zh-yue": "yue",
}
_PRESENT_TO_FORMER = {present: former for former, present in FORMER_CODES.items()}
# Variants without language conversion whose names readers of another one read, best first.
_READ_ALIKE: Mapping[str, tuple[str, ...]] = {
    "be": ("be-tarask", "be-x-old"),
    "de": ("de-at", "de-ch"),
    "en": ("en-gb", "en-ca", "en-us"),
    "es": ("es-419",),
    "nb": ("nn",),
    "nn": ("nb", "no"),
    "no": ("nn",),
    "pt": ("pt-br",),
    "simple": ("en",),
}


def related_codes(key: str) -> Iterator[str]:
    """Yield the codes that serve a language, best first, each at least once.

    They are, of the code and of the other code of the same language (`zh-yue` and `yue`): the code, its
    variants, then the same of the code without its last subtag (`zh-hant-tw`: `zh-hant`, `zh`).
    """
    other = FORMER_CODES.get(key) or _PRESENT_TO_FORMER.get(key)
    level = [key, other] if other else [key]
    while level:
        yield from level
        for code in level:
            conversions = CONVERSIONS.get(code.partition("-")[0], {})
            yield from (*conversions.get(code, ()), *_READ_ALIKE.get(code, ()))
        level = list(dict.fromkeys(broader for code in level if (broader := _broader(code))))


def _broader(code: str) -> str:
    """The code without its last subtag, and without the singleton before it (RFC 4647, section 3.4)."""
    head = code.rpartition("-")[0]
    return head[:-2] if head[-2:-1] == "-" else head
