"""What `kgcorpus download` fetches, by name, and the official address of each file."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kgcorpus.contracts.errors import UsageError, known_names

DUMPS = "https://dumps.wikimedia.org"
WIKIDATA = f"{DUMPS}/wikidatawiki/entities/latest-all.json.bz2"
CC100 = "https://data.statmt.org/cc-100"
_FACEBOOK = "https://dl.fbaipublicfiles.com"
_GOOGLE = "https://storage.googleapis.com"
_GITHUB = "https://raw.githubusercontent.com"
_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_XQUAD = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")


@dataclass(frozen=True)
class Source:
    """Files that are fetched together.

    Attributes:
        urls: the files; each is saved under the last part of its address.
        sums: address of a file of lines `SHA-1 name`, as its publisher writes it; None: there is none.
    """

    urls: tuple[str, ...]
    sums: str | None = None


def _dump(match: re.Match[str]) -> Source:
    wiki, date = match.groups()
    base = f"{DUMPS}/{wiki}/{date}/{wiki}-{date}"
    names = (
        "pages-articles-multistream.xml.bz2",
        "pages-articles-multistream-index.txt.bz2",
        *("page.sql.gz", "page_props.sql.gz", "redirect.sql.gz"),
    )
    return Source(tuple(f"{base}-{name}" for name in names), f"{base}-sha1sums.txt")


def _cc100(match: re.Match[str]) -> Source:
    return Source((f"{CC100}/{match[1]}.txt.xz",))


# Names with a part of the user's choice.
_FAMILIES: tuple[tuple[str, str, Callable[[re.Match[str]], Source]], ...] = (
    ("WIKI-DATE, e.g. enwiki-20260901", r"([a-z][a-z_]*wiki)-([0-9]{8})", _dump),
    (
        "cc100-LANG, e.g. cc100-de",
        r"cc100-([a-z]{2,3}(?:-[A-Z][a-z]+)?)",
        _cc100,
    ),
)
SOURCES = {
    "wikidata": Source((WIKIDATA,)),
    "lama": Source((f"{_FACEBOOK}/LAMA/data.zip",)),
    "xnli": Source((f"{_FACEBOOK}/XNLI/XNLI-1.0.zip", f"{_FACEBOOK}/XNLI/XNLI-MT-1.0.zip")),
    "mlqa": Source((f"{_FACEBOOK}/MLQA/MLQA_V1.zip",)),
    "paws-x": Source((f"{_GOOGLE}/paws/pawsx/x-final.tar.gz",)),
    "tydiqa": Source(
        tuple(f"{_GOOGLE}/tydiqa/v1.1/tydiqa-goldp-v1.1-{part}.json" for part in ("train", "dev"))
    ),
    "squad": Source(
        tuple(
            f"https://rajpurkar.github.io/SQuAD-explorer/dataset/{part}-v1.1.json"
            for part in ("train", "dev")
        )
    ),
    "xquad": Source(tuple(f"{_GITHUB}/deepmind/xquad/master/xquad.{lang}.json" for lang in _XQUAD)),
    "fewrel": Source(
        tuple(f"{_GITHUB}/thunlp/FewRel/master/data/{part}_wiki.json" for part in ("train", "val"))
    ),
}


def source_of(name: str) -> Source:
    """Return the files of a name.

    Raises:
        UsageError: there are none.
    """
    if name in SOURCES:
        return SOURCES[name]
    for _, pattern, make in _FAMILIES:
        if match := re.fullmatch(pattern, name):
            return make(match)
    families = ", ".join(form for form, _, _ in _FAMILIES)
    raise UsageError(
        f"cannot download {name!r}",
        where="NAME",
        hint=known_names(name, sorted(SOURCES), listed=f"Choose {families}, or one of"),
    )
