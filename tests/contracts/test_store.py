"""Files arrive whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.store import (
    folder_lock,
    publish,
    replacing,
    sweep_temporaries,
    temporary_name,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fail_half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_names_never_end_in_parquet(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.parquet") as temporary:
        assert temporary.suffix != ".parquet"
        temporary.touch()


def test_a_name_of_the_longest_length_can_be_replaced(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"


def test_leftovers_of_a_killed_attempt_are_swept(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / ".a.parquet.12-0123abcd.tmp").touch()
    (tmp_path / ".manifest.json.12-0123abcd.tmp").touch()
    sweep_temporaries(tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["a.json", "x" * 255, "é" * 127])
def test_what_temporary_name_makes_is_swept(tmp_path: Path, name: str) -> None:
    temporary_name(tmp_path / name).touch()
    sweep_temporaries(tmp_path)
    assert not list(tmp_path.iterdir())


def test_hidden_files_of_the_user_are_not_swept(tmp_path: Path) -> None:
    for name in (
        ".notes.tmp",
        "tables/.notes.1.tmp",
        "data/.a.parquet.12-ab.tmp",
        "quarantine/.12-0123abcd.tmp",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    sweep_temporaries(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_training_writes_beside_the_build_is_not_swept(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens" / "abc" / "xlr" / ".test.parquet.12-0123abcd.tmp"
    checkpoint = tmp_path / "RUN" / "checkpoints" / ".step-00000001.12-0123abcd.tmp"
    for folder in (tokens.parent, checkpoint, tmp_path / ".step-00000001.12-0123abcd.tmp"):
        folder.mkdir(parents=True)
    tokens.touch()
    before = sorted(tmp_path.rglob("*"))
    sweep_temporaries(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_publish_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "shown").write_text("old")
    publish(tmp_path / "new", tmp_path / "shown")
    assert (tmp_path / "shown").read_text() == "new"
    assert (tmp_path / "new").exists()


def test_the_second_build_is_refused_and_a_dead_owners_lock_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from kgcorpus.contracts.store import folder_lock\n"
        "with folder_lock(Path(sys.argv[1]), 'build'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=str(owner.pid)), folder_lock(tmp_path, "build"):
            pass
        owner.kill()
        owner.wait()
        with folder_lock(tmp_path, "build"):
            pass
