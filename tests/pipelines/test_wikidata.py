"""The table `wikidata`: one pass gives the rows that three stages read one after the other before."""

import bz2
import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.rows import WikidataRow
from kgcorpus.inputs import BadRecord, decoded
from kgcorpus.kg.wikidata import facts_in, is_item, parse_entity, rows_in
from pipelines import names, triples, wikidata
from pipelines.failures import SPARK_FAILURES
from pipelines.shard_folders import read_counters
from tests.kg.test_wikidata import ENTITY
from tests.kg.test_wikidata_decoding import sample_lines
from tests.pipelines.stage_runs import run_stage
from tests.row_types import misfits

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow
LANGUAGES = ["en", "de", "zh"]
GRAPH = ("triples", "labels", "relations", "descriptions", "types")


def configured(dump: str, *fields: str, **settings: Any) -> BuildConfig:
    graph = {field: [dump] for field in fields or GRAPH}
    return BuildConfig.model_validate({"languages": LANGUAGES, "graph": graph, **settings})


@pytest.fixture(scope="module")
def lines(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The entities of all samples, once each, and a property."""
    folder = tmp_path_factory.mktemp("samples")
    for archive in real_data.glob("wikidata-dump-samples/*.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    found: dict[str, bytes] = {}
    for line in sample_lines(folder):
        try:
            found.setdefault(parse_entity(decoded(line))["id"], line)
        except BadRecord:
            continue
    return [*found.values(), json.dumps({**ENTITY, "id": "P17"}).encode()]


def written(folder: Path, lines: list[bytes], suffix: str) -> str:
    data = b"[\n" + b",\n".join(lines) + b"\n]\n"
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": lambda data: bz2.compress(data, 1)}[suffix]
    path = folder / f"d.json{suffix}"
    path.write_bytes(pack(data))
    return str(path)


def expected_facts(lines: list[bytes]) -> set[tuple[str, ...]]:
    entities = [parse_entity(decoded(line)) for line in lines]
    return {tuple(fact) for entity in entities if is_item(entity) for fact in facts_in(entity)}


def expected_names(lines: list[bytes], field: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        for row in rows_in(parse_entity(decoded(line)), field, LANGUAGES):
            name = {"lang": row.lang, "label": row.label, "aliases": row.aliases}
            found.setdefault(row.id, []).append(name)
    return {ident: sorted(rows, key=lambda name: name["lang"]) for ident, rows in found.items()}


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
def test_the_rows_of_all_samples(
    spark: "SparkSession", tmp_path: Path, lines: list[bytes], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 60_000)
    config = configured(written(tmp_path, lines, suffix))
    rows = run_stage(spark, wikidata.STAGE, config, tmp_path, partitions=1)
    if suffix == ".bz2":
        assert len({row["block"] for row in rows}) > 3
        assert run_stage(spark, wikidata.STAGE, config, tmp_path, partitions=7) == rows
    assert {fault for row in rows for fault in misfits(row, WikidataRow, "wikidata")} == set()
    inputs = {"wikidata": rows}
    facts = run_stage(spark, triples.STAGE, config, tmp_path, inputs)
    assert {tuple(fact.values()) for fact in facts} == expected_facts(lines)
    assert len(facts) > 300
    entities = run_stage(spark, names.ENTITIES, config, tmp_path, {**inputs, "triples": facts})
    labels, kinds = expected_names(lines, "labels"), expected_names(lines, "relations")
    assert {row["qid"]: row["names"] for row in entities if row["qid"] in labels} == {
        row["qid"]: labels[row["qid"]] for row in entities if row["qid"] in labels
    }
    types = {row.qid: sorted(row.types) for line in lines for row in drawn(line, "types")}
    assert {row["qid"]: row["types"] for row in entities if row["types"]} == types
    described = {row.qid: row.text for line in lines for row in drawn(line, "descriptions")}
    known = {row["qid"]: row["description"] for row in entities if row["description"]}
    assert known == {qid: described[qid] for qid in known}
    assert len(known) == 19
    relations = run_stage(spark, names.RELATIONS, config, tmp_path, inputs)
    assert {row["pid"]: row["names"] for row in relations} == kinds
    assert list(kinds) == ["P17"]


def drawn(line: bytes, field: str) -> Iterator[Any]:
    return rows_in(parse_entity(decoded(line)), field, LANGUAGES)


def entity(ident: str, *, label: str = "", text: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"id": ident}
    if label:
        found["labels"] = {"en": {"value": label}}
    if text:
        found["descriptions"] = {"en": {"value": text}}
    return found


def test_the_first_file_of_each_field_wins(spark: "SparkSession", tmp_path: Path) -> None:
    for name, label in (("a", "first"), ("b", "second")):
        dump = entity("Q1", label=label, text=f"{label} text")
        (tmp_path / f"{name}.json").write_text(json.dumps(dump))
    (tmp_path / "labels.tsv").write_text("Q1\ten\tthird\n")
    (tmp_path / "texts.tsv").write_text("Q1\tthird text\n")
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    facts = [{"h": "Q1", "r": "P1", "t": "Q1"}]

    def names_and_text(labels: list[str], descriptions: list[str]) -> tuple[str, list[str], str]:
        graph = {"triples": [a], "labels": labels, "descriptions": descriptions}
        config = BuildConfig.model_validate({"languages": ["en"], "graph": graph})
        inputs = {"triples": facts, "wikidata": run_stage(spark, wikidata.STAGE, config, tmp_path)}
        (row,) = run_stage(spark, names.ENTITIES, config, tmp_path, inputs)
        return row["names"][0]["label"], row["names"][0]["aliases"], row["description"]

    labels, texts = str(tmp_path / "labels.tsv"), str(tmp_path / "texts.tsv")
    assert names_and_text([b, labels, a], [texts, a]) == ("second", ["third", "first"], "third text")
    assert names_and_text([labels, a], [b, texts]) == ("third", ["first"], "second text")


def test_a_fault_is_set_aside_and_the_other_fields_stay(spark: "SparkSession", tmp_path: Path) -> None:
    lines = [b'{"id": "Q1", "labels": 5, "claims": []}', b'{"id": "Q2", "aliases": []}', b'{"id": 5}']
    lines.append(json.dumps({**entity("Q3", label="x"), "claims": {"x": []}}).encode())
    dump = written(tmp_path, lines, "")
    with pytest.raises(SPARK_FAILURES, match=r"d\.json:2: `labels` is no JSON object"):
        run_stage(spark, wikidata.STAGE, configured(dump), tmp_path)
    config = configured(dump, "triples", "labels", on_bad_input="quarantine")
    (row,) = run_stage(spark, wikidata.STAGE, config, tmp_path)
    assert (row["id"], row["names"][0]["label"], row["facts"]) == ("Q3", "x", [])
    # Types are statements too: the fields of one table are kept together or not at all.
    assert run_stage(spark, wikidata.STAGE, configured(dump, on_bad_input="quarantine"), tmp_path) == []


def test_every_line_that_the_typed_decoder_leaves_is_counted(spark: "SparkSession", tmp_path: Path) -> None:
    lines = [
        json.dumps(entity("Q1", label="typed")).encode(),
        b'{"id": "Q2", "labels": {"en": {"value": "tolerant"}}, "aliases": []}',
        rb'{"id": "Q3", "labels": {"en": {"value": "\ud800"}}}',
        rb'{"id": "Q4", "aliases": [], "sitelinks": "\udc00"}',
        b'{"id": "Q5", "labels": {"en": {"value": "\xff"}}}',
    ]
    config = configured(written(tmp_path, lines, ""), on_bad_input="quarantine")
    rows = run_stage(spark, wikidata.STAGE, config, tmp_path)
    assert [row["id"] for row in rows] == ["Q1", "Q2"]
    (shard,) = tmp_path.glob("*/part-*.parquet")
    counters = read_counters(shard)
    assert counters["count.entities_read_tolerantly"] == 4
    assert counters["drop.bad_input"] == 3
    assert counters["count.good_input"] == 2


def test_a_list_without_an_end_is_refused_in_parts(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 1)
    path = tmp_path / "d.json.bz2"
    for end, is_whole in ((b"\n]\n\n", True), (b",\n", False), (b"", False)):
        path.write_bytes(bz2.compress(b'[\n{"id": "Q1"}') + bz2.compress(b" ") + bz2.compress(end))
        if is_whole:
            assert run_stage(spark, wikidata.STAGE, configured(str(path)), tmp_path) == []
        else:
            with pytest.raises(InputError, match="the list has no end"):
                run_stage(spark, wikidata.STAGE, configured(str(path)), tmp_path)
