"""What the runner commits, refuses and takes up again."""

from pathlib import Path

import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from pipelines.runner import build

pytestmark = pytest.mark.slow


@pytest.fixture
def config(spark: object, tmp_path: Path) -> BuildConfig:
    """One bad line of four; the three others are one triple."""
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\n" * 3 + "Q2\tP1\n")
    return BuildConfig.model_validate(
        {
            "graph": {"triples": [str(tmp_path / "triples.txt")]},
            "spark": {"master": "local[2]", "partitions": 2},
            "on_bad_input": "quarantine",
            "max_bad_share": 0.25,
        }
    )


def test_the_bad_share_is_of_the_records_read(config: BuildConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 4 pieces of input are bad"):
        build(config.model_copy(update={"max_bad_share": 0.24}), tmp_path / "out", targets=["triples"])
    build(config, tmp_path / "out", targets=["triples"])
    entry = load_manifest(tmp_path / "out").tables["triples"]
    assert (entry.rows, entry.drops, entry.counts) == (
        1,
        {"bad_input": 1, "duplicate": 2},
        {"good_input": 3},
    )


@pytest.mark.parametrize("killed", [True, False], ids=["killed before the manifest", "whole"])
def test_what_was_set_aside_is_not_committed_under_the_policy_fail(
    config: BuildConfig, tmp_path: Path, killed: bool
) -> None:
    build(config, tmp_path / "out", targets=["triples"])
    if killed:
        (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"triples\.txt:4"):
        build(config.model_copy(update={"on_bad_input": "fail"}), tmp_path / "out", targets=["triples"])
