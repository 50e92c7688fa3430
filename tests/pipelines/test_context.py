"""What a stage is given holds in every process."""

import re
from pathlib import Path

import pytest

import pipelines
from kgcorpus.contracts.stages import Source
from pipelines.context import located


def test_a_local_source_is_found_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triples.txt").touch()
    monkeypatch.chdir(tmp_path)
    found = located(Source("graph.triples", "triples.txt", "en"))
    assert found == Source("graph.triples", str(tmp_path / "triples.txt"), "en")
    # A link keeps its name, which may say what is packed and how.
    (tmp_path / "link.txt").symlink_to("triples.txt")
    assert located(Source("graph.triples", "link.txt")).path == str(tmp_path / "link.txt")


@pytest.mark.parametrize("path", ["s3://bucket/triples.txt", "roberta-base", "org/name"])
def test_a_url_and_a_name_of_a_hub_stay(path: str) -> None:
    assert located(Source("importance.encoder", path)).path == path


def test_only_the_session_uses_what_spark_connect_lacks() -> None:
    folder = Path(pipelines.__file__).parent
    others = [path for path in folder.glob("*.py") if path.name != "session.py"]
    lacked = re.compile(r"[sS]parkContext|\.(rdd|persist|cache|_jdf|_jvm|_sc)\b|\.master\(")
    assert [path.name for path in others if lacked.search(path.read_text())] == []
