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
        note: what a reader has to know.
    """

    pattern: str
    address: str
    note: str = ""


_OLD = "only recent dates are kept there: for another date change the names in the configuration"
PUBLISHED = (
    Published(r"latest-all\.json\.bz2", WIKIDATA),
    Published(r"([a-z_]+wiki)-(\d{8})-.*", rf"{DUMPS}/\1/\2/", note=_OLD),
    Published(r"wikidata5m_.*", "https://deepgraphlearning.github.io/project/wikidata5m"),
    Published(r"([a-z]{2}(-Hans)?)\.txt\.xz", rf"{CC100}/\1.txt.xz"),
    *(Published(re.escape(Path(url).name), url) for url in SOURCES["fewrel"].urls),
    Published(
        r"kb\.txt|qa_(train|dev|test)\.txt", "https://github.com/yuyuz/MetaQA", note="linked from there"
    ),
)


@dataclass(frozen=True)
class Needed:
    """An input of a configuration: its path, whether it exists, and where it is published."""

    path: str
    bytes: int | None
    address: str
    note: str


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
    return Needed(path, size, address, found.note if found else "")


def _paths(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _paths(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _paths(value)
    elif isinstance(node, str) and re.search(r"[/\\]|\.[a-z0-9]+$", node):
        yield node
