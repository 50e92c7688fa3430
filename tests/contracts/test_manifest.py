"""The manifest as a file that anyone may have written."""

from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest


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
