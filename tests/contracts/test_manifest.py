"""A manifest may come from anyone's URL: what it says is checked. It tells which tables go together."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import File, Manifest, TableEntry, load_manifest, parse_manifest

WHOLE = Manifest(
    {
        "triples": TableEntry(
            stage="triples",
            fingerprint="f" * 64,
            digest="d" * 64,
            rows=3,
            drops={"bad_input": 1},
            counts={},
            files=(File("tables/triples/ffffffffffff/part-00000-of-00001.parquet", 3, 100, "a" * 64),),
        )
    },
    [{"role": "graph.triples", "file": "t.txt"}],
    {"pyarrow": "1"},
)


def parse(data: Any) -> Manifest:
    return parse_manifest(json.dumps(data).encode(), where="OUT/manifest.json")


def test_what_is_written_is_read_back() -> None:
    assert parse(WHOLE.to_dict()) == WHOLE


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "/etc/x",
        "../x",
        "tables",
        "tables/../../x",
        "data/./x",
        "data//x",
        "C:/x",
        "data/a\\..\\x",
        "data/x\n",
    ],
)
def test_a_path_that_leads_out_of_the_build_is_refused(path: str) -> None:
    data = deepcopy(WHOLE.to_dict())
    data["tables"]["triples"]["files"][0]["path"] = path
    with pytest.raises(InputError, match="is no file under tables/ or data/"):
        parse(data)


@pytest.mark.parametrize(
    ("key", "value"), [("rows", None), ("bytes", "5"), ("bytes", -1), ("rows", True), ("sha256", None)]
)
def test_a_file_with_a_value_of_the_wrong_type_is_named(key: str, value: Any) -> None:
    data = deepcopy(WHOLE.to_dict())
    data["tables"]["triples"]["files"][0][key] = value
    with pytest.raises(InputError, match=rf"is not a manifest \(tables\.triples\.files\.0\.{key}: "):
        parse(data)


@pytest.mark.parametrize(
    ("key", "value"), [("role", 1), ("lang", None), ("file", ["t.txt"]), ("bytes", "7"), ("sha256", {})]
)
def test_a_source_with_a_value_of_the_wrong_type_is_named(key: str, value: Any) -> None:
    data = deepcopy(WHOLE.to_dict())
    data["sources"][0][key] = value
    with pytest.raises(InputError, match=rf"is not a manifest \(sources\.0: {key} is no "):
        parse(data)


@pytest.mark.parametrize("place", ["versions", "tables", "sources"])
def test_half_a_surrogate_pair_is_refused(place: str) -> None:
    data = deepcopy(WHOLE.to_dict())
    entry = data[place][0] if place == "sources" else data[place]
    entry["\ud800" if place == "tables" else "file"] = (
        data["tables"]["triples"] if place == "tables" else "\ud800"
    )
    with pytest.raises(InputError, match=r"is not a manifest .*surrogates"):
        parse(data)


@pytest.mark.parametrize(
    "data", [[], 5, {}, {"format": 1}, {"format": 1, "tables": [], "sources": [], "versions": {}}]
)
def test_other_json_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="is not a manifest"):
        parse(data)


@pytest.mark.parametrize(
    "data",
    [
        *(b"[" * 100_000, b'{"format": 1, "tables": ' + b'{"a":' * 100_000, b"[]", b"9" * 5_000, b"\xff"),
        b'{"format": 1, "tables": {"triples": {"files": 1}}}',
    ],
    ids=["lists", "objects", "a list", "a long number", "not UTF-8", "a table without its fields"],
)
def test_a_file_that_is_no_manifest_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(InputError, match=r"manifest\.json: is not a manifest"):
        load_manifest(tmp_path)


def test_pending_tables_are_refused_by_name_and_the_others_are_not(tmp_path: Path) -> None:
    Manifest(pending=frozenset({"trelm", "xlr"})).save(tmp_path)
    manifest = load_manifest(tmp_path)
    manifest.check_files(tmp_path, ("plain_text",))
    with pytest.raises(InputError, match=r"stopped before finishing trelm, xlr\. Wait for it, or run"):
        manifest.check_files(tmp_path, ("plain_text", "xlr", "trelm"))


def test_a_table_that_is_needed_is_built_whole_and_of_the_same_build_or_refused(tmp_path: Path) -> None:
    entry = TableEntry("xlr", "f", "d", rows=0, drops={}, counts={}, files=())
    assert Manifest({"xlr": entry}).built(tmp_path, "xlr") is entry
    with pytest.raises(InputError, match=r"holds no table xlr\. Run kgcorpus build-corpus xlr"):
        Manifest().built(tmp_path, "xlr")
    with pytest.raises(InputError, match="stopped before finishing xlr"):
        Manifest({"xlr": entry}, pending=frozenset({"xlr"})).built(tmp_path, "xlr")
    lost = replace(entry, files=(File("data/xlr/test-00000-of-00001.parquet", rows=1, bytes=9, sha256=""),))
    with pytest.raises(InputError, match="is missing, or not of the length"):
        Manifest({"xlr": lost}).built(tmp_path, "xlr")


def test_a_finished_build_names_nothing_pending() -> None:
    assert list(Manifest().to_dict()) == ["format", "tables", "sources", "versions"]
