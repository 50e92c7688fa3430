"""Language codes (BCP 47, such as `de`, `pt-BR`, `zh-Hant`) and their fallbacks."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from kgcorpus.contracts.errors import InputError, UsageError

# `simple` names the Simple English Wikipedia. Subtags are scripts, regions and variants, also those of
# Wikimedia (`be-tarask`, `zh-classical`); exports of other programs write `pt_BR`.
LANGUAGE_CODE = re.compile(r"simple|[a-z]{2,3}(?:[-_][A-Za-z0-9]{1,12})*")


def language_key(code: str) -> str:
    """Normalise a code for comparison: `pt-BR`, `pt_br` and `pt-br` are the same language."""
    return code.lower().replace("_", "-")


def spellings(languages: Iterable[str]) -> dict[str, str]:
    """Return `language_key` -> the code as configured, which builds write."""
    return {language_key(code): code for code in languages}


def base_language_of(corpus: Path) -> str:
    """Return the base language of a build: the first of `languages` in its config.yaml.

    Raises:
        InputError: config.yaml is missing or names no language.
    """
    from kgcorpus.contracts.yaml_reader import read_yaml

    path = corpus / "config.yaml"
    try:
        return str(read_yaml(path)["languages"][0])
    except UsageError as error:
        raise InputError(error.what, where=error.where, mend="Build the corpus") from None
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"gives no languages ({error!r})", where=str(path), mend="Build the corpus"
        ) from None


# Wikidata's code of labels and aliases that serve every language.
DEFAULT_CODE = "mul"
# Codes under which Wikidata keeps names that readers of the code before them read too, the nearest first.
_VARIANTS = {
    "zh": ("zh-hans", "zh-cn", "zh-sg", "zh-my", "zh-hant", "zh-tw", "zh-hk", "zh-mo"),
    "zh-hans": ("zh-cn", "zh-sg", "zh-my"),
    "zh-hant": ("zh-tw", "zh-hk", "zh-mo"),
    "sr": ("sr-ec", "sr-cyrl", "sr-el", "sr-latn"),
    "no": ("nb", "nn"),
    "nb": ("no",),
    "nn": ("no", "nb"),
    "simple": ("en",),
}


def fallback_codes(lang: str) -> Iterator[str]:
    """Yield the codes whose names serve a language, the best first: its own, variants, broader codes, `mul`.

    The first is as configured, the others are keys (`language_key`): `zh-Hant-TW` gives itself,
    `zh-hant-tw`, `zh-hant` with its variants, `zh` with its variants, `mul`.
    """
    seen = {lang}
    yield lang
    code = language_key(lang)
    while code:
        for known in (code, *_VARIANTS.get(code, ())):
            if known not in seen:
                seen.add(known)
                yield known
        code = code.rpartition("-")[0]
    yield DEFAULT_CODE
