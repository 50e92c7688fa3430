"""Statistics of links: counted by Spark as by hand, from training pages alone, for any partitions."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.declared import declared
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.contracts.tables import table
from pipelines import surfaces
from pipelines.context import Context
from pipelines.scratch import LocalScratch
from pipelines.writer import write_shards

SEED = 5
TRAIN = [n for n in range(1, 60) if split_of_page(SEED, "en", n) == "train"][:4]
HELD_OUT = next(n for n in range(1, 400) if split_of_page(SEED, "en", n) != "train")


def page(page_id, text, *links, title="", redirect=None):
    found = [
        {
            "start": text.index(anchor),
            "end": text.index(anchor) + len(anchor),
            "anchor": anchor,
            "target": target,
        }
        for anchor, target in links
    ]
    row = {"page_id": page_id, "title": title, "lang": "en", "text": text, "links": found}
    return {**row, "redirect": redirect, "disambiguation": False}


PAGES = [
    page(TRAIN[0], "New York is big. York is old; York again.", ("New York", "NYC"), ("York", "York")),
    page(TRAIN[1], "New\u00a0York and Old York.", ("New\u00a0York", "New York City")),
    page(TRAIN[2], "A York without link; Rome."),  # no link: its names are no evidence
    page(TRAIN[3], "York d:Q60", ("York", "Duke of York")),
    page(HELD_OUT, "York York", ("York", "Secret")),
    page(900, "", title="NYC", redirect="The Big Apple"),
    page(901, "", title="The Big Apple", redirect="New York City"),
]
TITLES = [
    {"lang": "en", "title": "New York City", "qid": "Q60", "via": "item"},
    {"lang": "en", "title": "Duke of York", "qid": "Q1", "via": "item"},
    {"lang": "en", "title": "d:Q60", "qid": "Q60", "via": "link"},  # of a document; no page's title
]
ENTITIES = [
    {
        "qid": "Q2",
        "names": [
            {"lang": "en", "label": "big", "aliases": ["Old York"]},
            {"lang": "nl", "label": "b", "aliases": []},
        ],
        "description": None,
        "types": [],
    }
]


def build(spark, folder: Path, stage, *, partitions: int) -> list[dict]:
    inputs = {}
    for name, rows in (("pages", PAGES), ("titles", TITLES), ("entities", ENTITIES)):
        inputs[name] = [str(folder / f"{name}.parquet")]
        pq.write_table(pa.Table.from_pylist(rows, schema=table(name).schema), inputs[name][0])
    context = Context(
        spark=spark,
        seed=SEED,
        config=declared(BuildConfig(), (), reader=stage.table),
        inputs={name: inputs[name] for name in (*stage.inputs, *stage.optional)},
        sources=(),
        partitions=partitions,
        graph_parts=1,
        scratch=LocalScratch(folder / stage.table / "scratch"),
        on_bad_input="fail",
    )
    out = folder / stage.table
    settings = {"shards": {"part": 1}, "seed": SEED, "partitions": partitions, "quarantine": folder / "bad"}
    write_shards(stage.run(context), table(stage.table), out, **settings)
    return pq.read_table(out / "part-00000-of-00001.parquet").to_pylist()


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1, 3])
def test_surfaces_and_in_links(spark, tmp_path, partitions):
    tmp_path /= r"a [1]{b,c}*?\d é%20"
    tmp_path.mkdir()
    rows = {row["surface"]: row for row in build(spark, tmp_path, surfaces.SURFACES, partitions=partitions)}
    assert all(row["lang"] == "en" for row in rows.values())
    assert rows["New York"]["targets"] == [{"target": "Q60", "links": 2}]  # two redirects, and one direct
    assert rows["York"]["targets"] == [{"target": "Q1", "links": 1}, {"target": "[[en:York]]", "links": 1}]
    counted = {name: (row["links"], row["occurrences"]) for name, row in rows.items()}
    # Longer names hold shorter ones; pages that are held out or have no link count nothing.
    texts = " ".join(
        row["text"].replace("\u00a0", " ") for row in PAGES if row["page_id"] in TRAIN and row["links"]
    )
    words = Counter(texts.replace(".", "").replace(";", "").split())
    assert counted == {
        "New York": (2, 2),
        "York": (2, words["York"]),
        "Old York": (0, 1),
        "big": (0, words["big"]),
    }

    found = {
        row["target"]: row["pages"]
        for row in build(spark, tmp_path, surfaces.IN_LINKS, partitions=partitions)
    }
    assert found == {"Q60": TRAIN[:2], "[[en:York]]": [TRAIN[0]], "Q1": [TRAIN[3]]}
