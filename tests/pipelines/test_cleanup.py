"""A finished build leaves what its manifest names."""

import os
from pathlib import Path

import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from pipelines.cleanup import check_folder, remove_superseded, remove_unpublished
from pipelines.runner import build

OLD, NEW = "a" * 12, "b" * 12


def test_what_no_manifest_names_goes_and_the_rest_stays(tmp_path: Path) -> None:
    kept = [
        f"tables/triples/{NEW}/part-00000-of-00001.parquet",
        f"quarantine/triples/{NEW}.jsonl",
        f"cache/names/triples-{NEW}/ids.arrow",
        "data/xlr/test-00000-of-00001.parquet",
        "tokens/abc/xlr/test-00000-of-00001.parquet",
        "world/a.xml",
    ]
    gone = [
        f"tables/triples/{OLD}/part-00000-of-00001.parquet",
        f"tables/rules/{NEW}/part-00000-of-00001.parquet",
        f"quarantine/triples/{OLD}.jsonl",
        f"cache/names/triples-{OLD}/ids.arrow",
        "data/xlr/test-00000-of-00002.parquet",
        "scratch/cycles/0.npy",
    ]
    for name in [*kept, *gone]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for fingerprint in (OLD, NEW):
        (tmp_path / f"cache/linker/of-{fingerprint}").mkdir(parents=True)
        tables = f'[["triples", "{fingerprint}"]]'
        (tmp_path / f"cache/linker/of-{fingerprint}/tables.json").write_text(tables)
    kept.append(f"cache/linker/of-{NEW}/tables.json")
    files = (File(kept[0], 0, 0, ""), File(kept[3], 0, 0, ""))
    manifest = Manifest({"triples": TableEntry("triples", NEW + "c" * 52, "", 0, {}, {}, files)})
    remove_unpublished(tmp_path, manifest)
    remove_superseded(tmp_path, manifest)
    assert sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    ) == sorted(kept)


@pytest.mark.parametrize("torn", ["", "[1]", '[["triples"]]'])
def test_a_cache_that_a_crash_cut_off_goes(tmp_path: Path, torn: str) -> None:
    cache = tmp_path / "cache/linker/x"
    cache.mkdir(parents=True)
    (cache / "tables.json").write_text(torn)
    remove_superseded(tmp_path, Manifest())
    assert not cache.exists()


@pytest.mark.parametrize("kind", ["pipe", "folder", "bytes"])
def test_a_planted_record_of_a_cache_does_not_stop_a_build(tmp_path: Path, kind: str) -> None:
    record = tmp_path / "cache/linker/x/tables.json"
    record.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(record)
    elif kind == "folder":
        record.mkdir()
    else:
        record.write_bytes(b"\xff")
    remove_superseded(tmp_path, Manifest())
    assert not record.parent.exists()


def config_with(path: Path | str) -> BuildConfig:
    return BuildConfig.model_validate({"graph": {"triples": [str(path)]}})


@pytest.mark.parametrize(
    "own",
    [
        "data/triples.txt",
        "tables/triples.txt",
        "scratch/triples.txt",
        "README.md",
        "run.json",
        "progress.json",
    ],
)
def test_a_folder_with_files_of_the_users_own_is_refused_and_left_as_it_is(tmp_path: Path, own: str) -> None:
    triples = tmp_path / own
    triples.parent.mkdir(exist_ok=True)
    triples.write_text("Q1\tP1\tQ2\n")
    for _ in range(2):
        with pytest.raises(UsageError, match=f"{tmp_path / own.split('/', maxsplit=1)[0]}: no build made it"):
            build(config_with(triples), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [triples]


def test_a_first_build_that_failed_can_be_run_again_in_its_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match="no such file"):
            build(config_with(tmp_path / "absent.txt"), tmp_path / "out")
        assert (tmp_path / "out" / "progress.json").exists()


@pytest.mark.parametrize("folder", ["data", "tables", "tokens", "cache/names"])
def test_an_input_in_a_builds_own_folders_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "manifest.json").touch()
    triples = tmp_path / folder / "triples.txt"
    triples.parent.mkdir(parents=True)
    triples.touch()
    for place in (triples, f"file://{triples}", f"local://localhost{triples}"):
        with pytest.raises(UsageError, match=r"triples\.txt: this input lies in"):
            build(config_with(place), tmp_path)
    assert triples.exists()


def test_a_folder_that_a_killed_first_build_left_is_a_builds(tmp_path: Path) -> None:
    (tmp_path / "tables" / "triples").mkdir(parents=True)
    (tmp_path / ".sources.json").touch()
    check_folder(tmp_path, [])
