"""A build's folder with a few links and names, without Spark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.config import BuildConfig, to_yaml
from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.contracts.store import sha256_of
from kgcorpus.contracts.tables import table

Row = dict[str, Any]
SPLITS = {n: split_of_page(0, "en", n) for n in range(400)}
TRAIN = [n for n, split in SPLITS.items() if split == "train"]
HELD_OUT = [n for n, split in SPLITS.items() if split != "train"]
TEXT = "Both Mercury and Venus are hot. "
# Pages that link to both: the planet goes with Venus, the element with Iron.
PLANET, ELEMENT = TRAIN[:8], TRAIN[8:12]
IN_LINKS = {
    "Q308": PLANET,  # Mercury, the planet
    "Q313": PLANET,  # Venus
    "Q925": ELEMENT,  # mercury, the element
    "Q677": ELEMENT,  # iron
    "[[en:Mercury (Queen)]]": TRAIN[12:14],
    "Q99": TRAIN[14:40],
}
SURFACES: list[tuple[str, int, int, list[tuple[str, int]]]] = [
    ("Mercury", 12, 20, [("Q308", 6), ("Q925", 4), ("[[en:Mercury (Queen)]]", 2)]),
    ("Venus", 8, 10, [("Q313", 8)]),
    ("iron", 4, 10, [("Q677", 4)]),
    ("the", 0, 5000, []),
]
NAMES = {"Q308": "Mercury", "Q313": "Venus", "Q42": "Douglas Adams", "Q5": "the"}


def entity(qid: str, label: str) -> Row:
    names = [{"lang": "en", "label": label, "aliases": []}]
    return {"qid": qid, "names": names, "description": None, "types": []}


def page(
    page_id: int, text: str, *links: tuple[str, str], title: str = "", redirect: str | None = None
) -> Row:
    found = [
        {
            "start": text.index(anchor),
            "end": text.index(anchor) + len(anchor),
            "anchor": anchor,
            "target": target,
        }
        for anchor, target in links
    ]
    return {
        "page_id": page_id,
        "title": title,
        "lang": "en",
        "text": text,
        "links": found,
        "redirect": redirect,
        "disambiguation": False,
    }


ROWS: dict[str, list[Row]] = {
    "surfaces": [
        {
            "lang": "en",
            "surface": surface,
            "links": links,
            "occurrences": seen,
            "targets": [{"target": target, "links": n} for target, n in targets],
        }
        for surface, links, seen, targets in SURFACES
    ],
    "in_links": [{"lang": "en", "target": target, "pages": pages} for target, pages in IN_LINKS.items()],
    "entities": [entity(qid, label) for qid, label in NAMES.items()],
    "titles": [{"lang": "en", "title": "Mercury (planet)", "qid": "Q308", "via": "item"}],
    "triples": [{"h": "Q308", "r": "P31", "t": "Q634"}, {"h": "Q313", "r": "P31", "t": "Q634"}],
    "pages": [
        page(HELD_OUT[0], TEXT, ("Mercury", "Mercury (planet)"), ("Venus", "Evening star"), title="A"),
        page(HELD_OUT[1], "Mercury and iron.", ("Mercury", "Quicksilver"), ("iron", "Iron"), title="B"),
        page(HELD_OUT[2], "", title="Evening star", redirect="Venus"),
    ],
}


def write_build(out: Path, rows: Mapping[str, list[Row]], config: BuildConfig | None = None) -> Path:
    manifest = Manifest()
    for name, values in rows.items():
        path = out / "tables" / name / "0123456789ab" / "part-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(values, schema=table(name).schema), path)
        file = File(str(path.relative_to(out)), len(values), path.stat().st_size, sha256_of(path))
        manifest.tables[name] = TableEntry(name, "", name, len(values), {}, {}, (file,))
    manifest.save(out)
    (out / "config.yaml").write_text(to_yaml(config or BuildConfig()))
    return out


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_build(tmp_path_factory.mktemp("corpus"), ROWS)


@pytest.fixture(scope="session")
def names_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of a graph alone: labels, no page, no link."""
    rows = {name: ROWS[name] for name in ("entities", "triples")}
    return write_build(tmp_path_factory.mktemp("names"), rows)
