"""Big files: several tasks read one file, and the rows do not depend on how it is divided."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.inputs import split_file
from pipelines import pages
from pipelines.failures import SPARK_FAILURES
from tests.pipelines.stage_runs import HEAD, context_of, page, plan_of, run_stage

try:
    from compression import zstd
except ImportError:
    from backports import zstd

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

PACKINGS = {
    ".xml": bytes,
    ".xml.gz": gzip.compress,
    ".xml.xz": lzma.compress,
    ".xml.zst": zstd.compress,
    ".xml.bz2": bz2.compress,
}


@pytest.mark.parametrize("suffix", PACKINGS)
def test_a_dump_without_parts_is_parsed_by_several_tasks_where_it_is_read(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    dump = tmp_path / f"dewiki{suffix}"
    texts = "".join(page(n, f"Seite {n}", f"Die [[Stadt]] {n}.\n" * (n % 9)) for n in range(1, 500))
    xml = HEAD.format(lang="de", category="Kategorie") + "<!-- no part -->" + texts + "</mediawiki>"
    dump.write_bytes(PACKINGS[suffix](xml.encode()))
    config = BuildConfig.model_validate(
        {"languages": ["de"], "wikipedia": [{"lang": "de", "dump": str(dump)}]}
    )
    whole = run_stage(spark, pages.STAGE, config, tmp_path, partitions=1)
    assert len(whole) == 499 - 55
    monkeypatch.setattr("pipelines.pages._BYTES_A_READER", 1)
    assert run_stage(spark, pages.STAGE, config, tmp_path, partitions=5) == whole
    for partitions, tasks in ((5, 5), (99, 8)):
        plan, n = plan_of(context_of(spark, config, tmp_path, partitions=partitions))
        assert n == tasks
        assert "Exchange" not in plan
        assert "FileScan" not in plan


def test_a_bad_page_is_set_aside_by_one_of_the_readers(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.pages._BYTES_A_READER", 1)
    dump = tmp_path / "dewiki.xml"
    texts = "".join(page(n, f"Seite {n}", "Die Stadt.") for n in range(1, 50))
    xml = HEAD.format(lang="de", category="Kategorie") + texts.replace("<id>7</id>", "") + "</mediawiki>"
    dump.write_text(xml)
    config = BuildConfig.model_validate(
        {
            "languages": ["de"],
            "wikipedia": [{"lang": "de", "dump": str(dump)}],
            "on_bad_input": "quarantine",
        }
    )
    assert len(run_stage(spark, pages.STAGE, config, tmp_path, partitions=4)) == 48
    (bad,) = (path for path in tmp_path.glob("*/bad"))
    assert len(bad.read_text().splitlines()) == 1


TEXTS = [f"Dokument {n} über {n**9}." for n in range(9000)]


LINES = {
    "x.jsonl": "".join(json.dumps({"text": text}) + "\n" * (n % 3 + 1) for n, text in enumerate(TEXTS)),
    "x.txt": "".join(f"{text}\n" for text in TEXTS),
}


@pytest.mark.parametrize("sample", [{}, {"sentences": 600}], ids=str)
@pytest.mark.parametrize("name", LINES)
def test_a_big_text_is_read_in_parts_with_ids_that_no_division_changes(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sample: dict[str, Any]
) -> None:
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 4_000)
    text = tmp_path / f"{name}.bz2"
    halves = [bz2.compress(half.encode(), 1) for half in (LINES[name][:50_000], LINES[name][50_000:])]
    text.write_bytes(b"".join(halves))
    form = {"documents": "lines"} if name == "x.txt" else {}
    entries = [{"lang": "de", "path": str(text), **form, **sample}, {"lang": "de", "path": str(text)}]
    config = BuildConfig.model_validate({"languages": ["de"], "text": entries, "repeated_inputs": "allow"})
    found = [run_stage(spark, pages.STAGE, config, tmp_path, partitions=n) for n in (1, 5)]
    assert found[0] == found[1]
    ids = [row["page_id"] for row in found[0]]
    assert len(set(ids)) == len(ids)
    own = [row["text"] for row in found[0] if row["page_id"] > -(2**40)]
    whole = [row["text"] for row in found[0] if row["page_id"] <= -(2**40)]
    assert sorted(whole) == sorted(TEXTS)
    assert set(own) <= set(whole)
    assert len(own) == len(whole) if not sample else 0 < len(own) < len(whole)
    _, tasks = plan_of(context_of(spark, config, tmp_path, partitions=5))
    n = len(split_file(str(text), parts=5))
    assert n > 3
    assert tasks == n + (1 if sample else n)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_big_dump_without_index_is_read_in_parts(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    head = f"<?xml version='1.0' encoding='{encoding}'?>" + HEAD.format(lang="de", category="Kategorie")
    text = "".join(
        page(n, f"Seite {n}", f"Die [[Stadt]] {n} ist größer.\n" * (n % 40)) for n in range(1, 2000)
    )
    dump = tmp_path / "dewiki.xml.bz2"
    dump.write_bytes(bz2.compress((head + text + "</mediawiki>").encode(encoding), 1))
    config = BuildConfig.model_validate(
        {"languages": ["de"], "wikipedia": [{"lang": "de", "dump": str(dump)}]}
    )
    whole = run_stage(spark, pages.STAGE, config, tmp_path)
    # Every fortieth page has no text.
    assert len(whole) == 1999 - 49
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 4_000)
    assert len(split_file(str(dump), parts=2)) > 2
    assert run_stage(spark, pages.STAGE, config, tmp_path, partitions=3) == whole


def test_an_error_in_a_part_of_a_dump_is_named(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 4_000)
    text = "".join(page(n, f"Page {n}", "text\n" * (n % 40)) for n in range(1, 4000))
    dump = tmp_path / "enwiki.xml.bz2"
    config = BuildConfig.model_validate(
        {"languages": ["en"], "wikipedia": [{"lang": "en", "dump": str(dump)}]}
    )
    for old, new, what in (
        ("<title>Page 3000</title>", "<title>Page 3000", "mismatched tag"),
        ("<id>3000</id>", "<id>x</id>", "a <page> lacks a proper <id>"),
        ("</mediawiki>", "", "no element found"),
    ):
        xml = HEAD.format(lang="en", category="Category") + text + "</mediawiki>"
        dump.write_bytes(bz2.compress(xml.replace(old, new).encode(), 1))
        with pytest.raises(SPARK_FAILURES, match=rf"enwiki\.xml\.bz2, from byte \d+ on, line .*{what}"):
            run_stage(spark, pages.STAGE, config, tmp_path)
