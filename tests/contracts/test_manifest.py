"""A manifest is a file that anyone may have written; it says whether its tables go together."""

from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import Manifest, load_manifest


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
    with pytest.raises(InputError, match=r"has not come to the tables trelm, xlr\. Wait for it, or run"):
        manifest.check_files(tmp_path, ("plain_text", "xlr", "trelm"))


def test_a_finished_build_names_nothing_pending() -> None:
    assert list(Manifest().to_dict()) == ["format", "tables", "sources", "versions"]
