"""Where the inputs of the papers' corpora are published."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcorpus.downloads.sources import CC100, DUMPS, SOURCES, WIKIDATA


@dataclass(frozen=True)
class Published:
    """Files of a name and their official address.

    Attributes:
        pattern: of the file's name; the address may use its groups.
        address: of the file, or of the page that links it.
        size: of the file as it is published, rounded; empty: unknown.
        note: what a reader has to know.
    """

    pattern: str
    address: str
    size: str = ""
    note: str = ""


_OLD = "only recent dates are kept there: for another date change the names in the configuration"
_WIKI = r"([a-z_]+wiki)-(\d{8}|latest)-"
_WIKIDATA5M = "https://deepgraphlearning.github.io/project/wikidata5m"
_ARCHIVE = "in an archive linked from there"
_METAQA = "https://github.com/yuyuz/MetaQA"
# Gigabytes of CC100's packed files, as its page lists them.
_CC100_SIZES = {
    **{"en": "82", "vi": "28", "nl": "7.9", "de": "18", "fr": "14", "it": "7.8"},
    **{"es": "14", "ja": "15", "ko": "14", "zh-Hans": "14"},
}
PUBLISHED = (
    Published(r"latest-all\.json\.bz2", WIKIDATA, size="100 GB"),
    *(
        Published(rf"{_WIKI}{name}", rf"{DUMPS}/\1/\2/", size=size, note=_OLD)
        for name, size in (
            (r"pages-articles-multistream\.xml\.bz2", "25 GB for enwiki, 1 to 7 GB for nine other languages"),
            (r"pages-articles-multistream-index\.txt\.bz2", "0.3 GB for enwiki"),
            (r"page\.sql\.gz", "2 GB for enwiki"),
            (r"(?:page_props|redirect)\.sql\.gz", "0.4 GB for enwiki"),
        )
    ),
    Published(
        r"wikidata5m_(?:transductive_.*|inductive_.*|all_triplet)\.txt",
        _WIKIDATA5M,
        size="0.2 GB packed",
        note=_ARCHIVE,
    ),
    Published(
        r"wikidata5m_(?:entity|relation)\.txt",
        _WIKIDATA5M,
        size="0.2 GB packed",
        note=_ARCHIVE,
    ),
    Published(r"wikidata5m_text\.txt", _WIKIDATA5M, size="1 GB packed", note=_ARCHIVE),
    *(
        Published(rf"({re.escape(lang)})\.txt\.xz", rf"{CC100}/\1.txt.xz", size=f"{size} GB")
        for lang, size in _CC100_SIZES.items()
    ),
    *(Published(re.escape(Path(url).name), url, size="0.03 GB") for url in SOURCES["fewrel"].urls),
    Published(r"kb\.txt", _METAQA, size="0.01 GB", note="linked from there"),
    Published(r"qa_(train|dev|test)\.txt", _METAQA, size="0.01 GB", note="linked from there"),
)


@dataclass(frozen=True)
class Needed:
    """An input of a configuration.

    Attributes:
        path: where it is read.
        bytes: its size; None: it does not exist.
        published: what is known of the file by its name; None: nothing.
        address: where it is published; empty: unknown.
    """

    path: str
    bytes: int | None
    published: Published | None
    address: str

    def __str__(self) -> str:
        if self.bytes is not None:
            state = f"{self.bytes:,} bytes"
        else:
            state = "missing"
            if self.published and self.published.size:
                state += f", about {self.published.size}"
        note = f"; {self.published.note}" if self.published and self.published.note else ""
        return f"{self.path} ({state}) {self.address}{note}"


def needed_files(config: Mapping[str, Any]) -> Iterator[Needed]:
    """Yield the input files that a build's configuration names, each once.

    Args:
        config: its keys, with variables replaced.
    """
    paths = dict.fromkeys(
        _paths({key: config[key] for key in ("graph", "wikipedia", "text") if key in config})
    )
    yield from map(needed_file, paths)


def needed_file(path: str) -> Needed:
    """Return a file, whether it exists, and where it is published by its name."""
    name = Path(path).name
    found = next((one for one in PUBLISHED if re.fullmatch(one.pattern, name)), None)
    address = re.sub(found.pattern, found.address, name) if found else ""
    size = Path(path).stat().st_size if Path(path).is_file() else None
    return Needed(path, size, found, address)


def _paths(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _paths(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _paths(value)
    elif isinstance(node, str) and re.search(r"[/\\]|\.[a-z0-9]+$", node):
        yield node
