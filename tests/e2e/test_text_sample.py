"""A sample of a text file, as `build-corpus` reads it."""

import json
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from tests.e2e.commands import bytes_of, run, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CONFIG = """
text:
  - {{lang: en, path: {folder}/en.txt, sentences: 100}}
  - {{lang: de, path: {folder}/de.jsonl, share: .25}}
  - {{lang: fr, path: {folder}/fr.txt, sentences: 5000}}
"""


def test_a_sample_does_not_depend_on_partitions_and_is_counted(tmp_path: Path) -> None:
    for lang in ("en", "fr"):
        (tmp_path / f"{lang}.txt").write_text(
            "".join(f"Line {i} of {lang}.\nAnother.\n\n" for i in range(400))
        )
    (tmp_path / "de.jsonl").write_text("".join(json.dumps({"text": f"Satz {i}."}) + "\n" for i in range(800)))
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    for partitions in (1, 3):
        out = tmp_path / f"OUT{partitions}"
        spark = sets("spark.master=local[1]", f"spark.partitions={partitions}", "spark.memory=1g")
        done = run("build-corpus", "pages", "--config", tmp_path / "config.yaml", "--out", out, *spark)
        assert done.returncode == 0, done.stderr
        # Of French there is less than was asked for, and the build says so.
        assert "warning: text: 800 of the 5,000 sentences of fr" in done.stderr
        assert "sentences of en" not in done.stderr
    assert bytes_of(tmp_path / "OUT1") == bytes_of(tmp_path / "OUT3")
    entry = json.loads((tmp_path / "OUT1" / "manifest.json").read_text())["tables"]["pages"]
    texts = ds.dataset(tmp_path / "OUT1" / "tables" / "pages", format="parquet").to_table().to_pylist()
    found = {lang: [row["text"] for row in texts if row["lang"] == lang] for lang in ("en", "de", "fr")}
    assert entry["counts"]["sampled_sentences.en"] == 2 * len(found["en"]) == 100
    assert len(found["fr"]) == 400
    assert len(found["de"]) == pytest.approx(200, abs=60)
    assert entry["drops"]["not_sampled"] == 350 + 800 - len(found["de"])
    assert entry["counts"]["good_input"] == 1600
