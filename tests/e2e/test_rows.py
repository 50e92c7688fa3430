"""The embedded world's rows have the types that `kgcorpus/contracts/rows.py` gives them."""

from pathlib import Path
from typing import get_type_hints

import pytest

from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.rows import ROW_TYPES
from pipelines.lookup import read_shards
from tests.row_types import misfits

# The embedded world reads no dump of Wikidata: tests/pipelines/test_wikidata.py has its rows.
BUILT = [name for name in ROW_TYPES if name != "wikidata"]


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT)
def test_rows_have_the_types_of_their_table(built: Path, name: str) -> None:
    manifest, row = load_manifest(built), ROW_TYPES[name]
    rows = read_shards(manifest.files(built, name), list(get_type_hints(row).keys() - {"split"})).to_pylist()
    assert rows
    assert {fault for one in rows[:2000] for fault in misfits(one, row, name)} == set()
