"""A manifest says whether its tables go together."""

from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import Manifest, load_manifest


def test_pending_tables_are_refused_by_name_and_the_others_are_not(tmp_path: Path) -> None:
    Manifest(pending=frozenset({"trelm", "xlr"})).save(tmp_path)
    manifest = load_manifest(tmp_path)
    manifest.check_files(tmp_path, ("plain_text",))
    with pytest.raises(InputError, match=r"has not come to the tables trelm, xlr\. Wait for it, or run"):
        manifest.check_files(tmp_path, ("plain_text", "xlr", "trelm"))


def test_a_finished_build_names_nothing_pending() -> None:
    assert list(Manifest().to_dict()) == ["format", "tables", "sources", "versions"]
