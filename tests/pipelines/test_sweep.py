"""A finished build leaves what its manifest names."""

from pathlib import Path

from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from pipelines.sweep import remove_superseded, remove_unpublished

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
    files = (File(kept[0], 0, 0, ""), File(kept[3], 0, 0, ""))
    manifest = Manifest({"triples": TableEntry("triples", NEW + "c" * 52, "", 0, {}, {}, files)})
    remove_unpublished(tmp_path, manifest)
    remove_superseded(tmp_path, manifest)
    assert sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    ) == sorted(kept)
