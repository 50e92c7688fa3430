"""JAKET's categories come from the configured relation, and their absence is reported."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from tests.e2e.commands import ONE_CORE, run, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def rows_of(out: Path, table: str) -> list[dict[str, Any]]:
    return ds.dataset(out / "data" / table, format="parquet").to_table().to_pylist()


def test_the_configured_relation_gives_the_categories(built: Path, tmp_path: Path) -> None:
    out = shutil.copytree(built, tmp_path / "out")
    tables = ("jaket_entities", "jaket_edges")
    relation = "jaket.category_relation=P106"
    done = run("build-corpus", *tables, "--out", out, *sets(relation, *ONE_CORE))
    assert done.returncode == 0, done.stderr
    assert "has a category" not in done.stderr
    triples = ds.dataset(built / "tables" / "triples", format="parquet").to_table().to_pylist()
    classes = {row["h"]: row["t"] for row in triples if row["r"] == "P106"}
    several = {h for h, n in Counter(row["h"] for row in triples if row["r"] == "P106").items() if n > 1}
    categories = {row["qid"]: row["category"] for row in rows_of(out, "jaket_entities")}
    assert any(categories.values())
    for qid, category in categories.items():
        assert category == classes.get(qid) or qid in several
    relations = {row["r"] for row in rows_of(out, "jaket_edges")}
    assert "P31" in relations
    assert "P106" not in relations


def test_a_build_and_a_run_without_categories_say_so(built: Path, tmp_path: Path) -> None:
    out = shutil.copytree(built, tmp_path / "out")
    relation = "jaket.category_relation=P999999"
    done = run("build-corpus", "jaket_entities", "jaket_edges", "--out", out, *sets(relation, *ONE_CORE))
    assert done.returncode == 0, done.stderr
    assert "none of the" in done.stderr
    assert "the relation P999999 gives none of them a class" in done.stderr
    assert not any(row["category"] for row in rows_of(out, "jaket_entities"))
    small = ("jaket.passages=2", "jaket.roots=4", "max_length=64")
    trained = run(
        "train", "jaket", "--corpus", out, "--out", tmp_path / "run", "--max-steps", "2", *sets(*small)
    )
    assert trained.returncode == 0, trained.stderr
    assert "category: no label in 2 steps" in trained.stderr
