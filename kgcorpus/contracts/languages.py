"""Language codes (BCP 47, such as `de`, `pt-BR`, `zh-Hant`) and their fallbacks."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.variants import related_codes

T = TypeVar("T")

# `simple` names the Simple English Wikipedia. Subtags are scripts, regions and variants, also those of
# Wikimedia (`be-tarask`, `zh-classical`). Exports of other programs write `pt_BR` and `EN`. `x-...` is the
# form of BCP 47 for private use. `Bob` is a name, not a code.
# Bounded, because a code is part of a file's name.
LANGUAGE_CODE = re.compile(
    r"simple|(?:[a-z]{2,3}|[A-Z]{2,3})(?:[-_][A-Za-z0-9]{1,12}){0,5}|[xX](?:[-_][A-Za-z0-9]{1,12}){1,5}"
)


@lru_cache(maxsize=4096)
def language_key(code: str) -> str:
    """Normalise a code for comparison: `pt-BR`, `pt_br` and `pt-br` are the same language."""
    return code.lower().replace("_", "-")


def spellings(languages: Iterable[str]) -> dict[str, str]:
    """Return `language_key` -> the code as configured, which builds write."""
    return {language_key(code): code for code in languages}


def base_language_of(corpus: Path) -> str:
    """The base language of a build: the first of `languages` in its config.yaml.

    Raises:
        InputError: config.yaml is missing, or its first language is no language code.
    """
    return _languages_of(corpus)[0]


def nearest_code(codes: Iterable[str], lang: str) -> str:
    """Return the code that serves a language (`fallback_codes`, without `mul`); `lang` if none does.

    `EN` and `en-GB` give `en`, `nb` gives `no`, where these are the codes.
    """
    known = spellings(codes)
    return next((known[code] for code in related_codes(language_key(lang)) if code in known), lang)


def configured_code(corpus: Path, lang: str) -> str:
    """Return the one of a build's `languages` that serves a language, as `nearest_code`.

    Raises:
        InputError: config.yaml is missing or names no language.
    """
    return nearest_code(_languages_of(corpus), lang)


def _languages_of(corpus: Path) -> list[str]:
    from kgcorpus.contracts.yaml_reader import read_yaml

    path = corpus / "config.yaml"
    try:
        first, *others = read_yaml(path)["languages"]
        if wrong := [lang for lang in (first, *others) if not LANGUAGE_CODE.fullmatch(lang)]:
            raise ValueError(f"{wrong[0]!r} is no language code")
        return [first, *others]
    except UsageError as error:
        raise InputError(error.what, where=error.where, hint="Build the corpus") from None
    except (LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"gives no languages ({error!r})", where=str(path), hint="Build the corpus"
        ) from None


# Wikidata's code of labels and aliases that serve every language.
DEFAULT_CODE = "mul"


@lru_cache(maxsize=1024)
def serving_keys(lang: str) -> tuple[str, ...]:
    """The keys of `fallback_codes`, each once."""
    return tuple(dict.fromkeys(map(language_key, fallback_codes(lang))))


def fallback_codes(lang: str) -> Iterator[str]:
    """Yield the codes whose names serve a language, the best first: its own, variants, broader codes, `mul`.

    The first is as configured, the others are keys (`language_key`): `zh-Hant-TW` gives itself,
    `zh-hant-tw`, `zh-hant` with its variants, `zh` with its variants, `mul`. docs/inputs.md has a table.
    """
    yield from dict.fromkeys((lang, *related_codes(language_key(lang)), DEFAULT_CODE))


def nearest(table: Mapping[str, T], lang: str, default: T) -> T:
    """Return the table's value for a language, or for the first of its broader codes (`pt-BR`: `pt`).

    Simple English (`simple`) has the value of English.
    """
    code = language_key(lang)
    while code and code not in table:
        code = "en" if code == "simple" else code.rpartition("-")[0]
    return table.get(code, default)
