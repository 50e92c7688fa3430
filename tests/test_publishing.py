"""The progress of `publish`."""

from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.publishing import publish_to
from kgcorpus.report.progress import read_facts
from tests.made import finished_build


def test_publishing_counts_the_files_and_bytes_that_it_sends(tmp_path: Path) -> None:
    out, _ = finished_build(tmp_path)
    files = [file for entry in load_manifest(out).tables.values() for file in entry.files]
    assert publish_to(str(tmp_path / "store"), out) == len(files)
    facts = read_facts(out)
    assert (facts.command, facts.state, facts.unit) == ("publish", "finished", "files")
    assert facts.done == facts.total == len(files)
    assert facts.bytes_done == facts.bytes == sum(file.bytes for file in files)
    assert not (tmp_path / "store" / "progress.json").exists()


def test_a_publication_that_is_refused_leaves_its_error(tmp_path: Path) -> None:
    out, _ = finished_build(tmp_path)
    (out / "report.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        publish_to(str(tmp_path / "store"), out)
    facts = read_facts(out)
    assert (facts.state, facts.exit_code) == ("failed", 3)
    assert "the build is not finished" in facts.error
