"""A digest is remembered while a file's stamp stays, and no longer."""

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from kgcorpus.contracts.digests import FileDigests, seal, sealed_files


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def test_a_file_is_hashed_once_also_after_its_folder_has_moved(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "x").write_bytes(b"one")
    digests = FileDigests(first / "memory.json")
    assert digests.of(first / "x") == digest(b"one")
    digests.save()
    second = first.rename(tmp_path / "second")
    again = FileDigests(second / "memory.json")
    assert again.of(second / "x") == digest(b"one")
    assert (digests.hashed, again.hashed) == ({"x"}, set())


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_other_bytes_under_the_same_size_and_time_are_hashed(tmp_path: Path, how: str) -> None:
    file, digests = tmp_path / "x", FileDigests(tmp_path / "memory.json")
    file.write_bytes(b"one")
    os.utime(file, (315532800, 315532800))
    digests.of(file)
    digests.save()
    if how == "replaced":
        (tmp_path / "y").write_bytes(b"two")
        (tmp_path / "y").rename(file)
    else:
        file.write_bytes(b"two")
    os.utime(file, (315532800, 315532800))
    assert FileDigests(tmp_path / "memory.json").of(file) == digest(b"two")


def test_only_the_recorded_file_itself_is_as_recorded(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "x").write_bytes(b"one")
    digests = FileDigests(first / "memory.json")
    assert not digests.is_as_recorded(first / "x")
    digests.of(first / "x")
    digests.save()
    copied = Path(shutil.copytree(first, tmp_path / "copied"))
    # Who wrote the copy may have written its record.
    assert not FileDigests(copied / "memory.json").is_as_recorded(copied / "x")
    moved = first.rename(tmp_path / "moved")
    assert FileDigests(moved / "memory.json").is_as_recorded(moved / "x")
    (moved / "x").write_bytes(b"onf")
    assert not FileDigests(moved / "memory.json").is_as_recorded(moved / "x")
    (moved / "x").unlink()
    assert not FileDigests(moved / "memory.json").is_as_recorded(moved / "x")


def test_a_cache_that_is_made_by_two_at_once_is_whole_for_both(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"one")
    seal(tmp_path, ["x"])
    (tmp_path / "y").write_bytes(b"one")
    (tmp_path / "y").rename(tmp_path / "x")
    assert sealed_files(tmp_path) == [tmp_path / "x"]
    (tmp_path / "x").write_bytes(b"two")
    assert sealed_files(tmp_path) == []


def test_a_seal_names_no_file_of_an_older_one(tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / name).write_text(name)
    seal(tmp_path, ["x", "y"])
    (tmp_path / "y").write_text("other")
    seal(tmp_path, ["x"])
    assert sealed_files(tmp_path) == [tmp_path / "x"]


ROWS = ["3", "[]", "[3, 4]", '[null, "0"]']


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[1]", *(f'{{"x": {row}}}' for row in ROWS), "\ud800"])
def test_a_damaged_memory_remembers_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.json").write_text(text, errors="surrogatepass")
    (tmp_path / "x").write_bytes(b"one")
    assert FileDigests(tmp_path / "memory.json").of(tmp_path / "x") == digest(b"one")


def test_a_memory_keeps_what_others_wrote_and_forgets_files_that_are_gone(tmp_path: Path) -> None:
    for name in "xyz":
        (tmp_path / name).write_text(name)
    one, two = (FileDigests(tmp_path / "memory.json") for _ in range(2))
    one.of(tmp_path / "x")
    two.of(tmp_path / "y")
    two.of(tmp_path / "z")
    (tmp_path / "z").unlink()
    one.save()
    two.save()
    found = FileDigests(tmp_path / "memory.json")
    assert found.is_as_recorded(tmp_path / "x")
    assert found.is_as_recorded(tmp_path / "y")
    assert '"z"' not in (tmp_path / "memory.json").read_text()
