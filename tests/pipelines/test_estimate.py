"""`plan --estimate`: the measured build gives back its own costs, larger ones grow with their inputs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kgcorpus.cli import app
from kgcorpus.config import BuildConfig
from pipelines.bound import bind
from pipelines.estimate import Sizes, estimate, measured_costs, sizes_of
from pipelines.source_digests import SourceDigests
from pipelines.stages import STAGES

COSTS = measured_costs()
INPUTS = COSTS["inputs"]
MEASURED = Sizes(**{name: size for name, size in INPUTS.items() if name != "text"})
TABLES = [stage.table for stage in STAGES if stage.table != "wikidata"]
NAMES = [name for name in TABLES if name in COSTS["stages"]]


def rows_of(*words: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["plan", "--estimate", "--json", *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def test_the_measured_build_costs_what_was_measured() -> None:
    found = estimate(list(COSTS["stages"]), MEASURED)
    for stage in found.stages:
        measured = COSTS["stages"][stage.stage]
        assert stage.cpu_seconds == pytest.approx(measured["cpu_seconds"])
        assert (stage.rows, stage.table_bytes) == (measured["rows"], measured["bytes"])
    assert found.unmeasured == []
    assert found.shuffled_bytes == sum(row["shuffled_bytes"] for row in COSTS["stages"].values())


def test_ten_times_the_input_costs_ten_times_without_what_is_fixed() -> None:
    tenfold = Sizes(**{n: s if n == "languages" else 10 * s for n, s in INPUTS.items() if n != "text"})
    small, large = estimate(NAMES, MEASURED), estimate(NAMES, tenfold)
    fixed = min(row["cpu_seconds"] for row in COSTS["stages"].values())
    for one, ten in zip(small.stages, large.stages, strict=True):
        assert ten.cpu_seconds - fixed == pytest.approx(10 * (one.cpu_seconds - fixed), abs=1e-6)
        assert ten.rows == pytest.approx(10 * one.rows, abs=10)
    hours = large.hours
    assert hours[1] > hours[8] > hours[64] > COSTS["start_seconds"] / 3600
    assert large.memory_bytes > small.memory_bytes


def test_each_stage_grows_with_the_inputs_that_it_is_made_from() -> None:
    def grown(**sizes: float) -> set[str]:
        before, after = (
            {stage.stage: stage.cpu_seconds for stage in estimate(NAMES, at).stages}
            for at in (MEASURED, replace(MEASURED, **sizes))
        )
        return {name for name in before if after[name] > before[name]}

    graph = grown(triples=1e9)
    names = grown(labels=1e9)
    text = grown(articles=1e9)
    assert {"triples", "code_switched", "reasoning"} <= graph
    assert "entities" in names
    assert {"pages", "linked_sentences", "passages", "plain_text"} <= text
    assert not graph & text
    assert grown(text=1e9) == text
    assert grown(languages=20) == {"code_switched"}


def test_the_embedded_world_is_estimated_by_its_files(tmp_path: Path) -> None:
    *stages, total = rows_of("--out", str(tmp_path / "out"))
    names = [row["stage"] for row in stages]
    # Every table but that of Wikidata's dump, which this world lacks.
    assert names == NAMES
    assert total["unmeasured"] == [name for name in TABLES if name not in NAMES]
    assert all(row["cpu_seconds"] > 0 for row in stages)
    assert total["cpu_seconds"] == pytest.approx(sum(row["cpu_seconds"] for row in stages))
    # A build of 60 articles: minutes of one core at most, and no more than some MB.
    assert total["hours"]["1"] < 0.1
    assert total["table_bytes"] < 50e6
    assert total["hours"]["1"] > total["hours"]["64"] > 0
    pages = next(row for row in stages if row["stage"] == "pages")
    # 60 articles and their redirects, whose mean length differs from that of the measured ones.
    assert 10 < pages["rows"] < 1000


def test_targets_packings_and_dumps_count(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"Q1\tP1\tQ2\n" * 1000)
    (tmp_path / "t.txt.gz").write_bytes(b"x" * 1000)
    (tmp_path / "w.json.bz2").write_bytes(b"x" * 100_000)
    (tmp_path / "a.txt").write_bytes(b"x" * 500)

    def sizes(**config: Any) -> Sizes:
        resolved = BuildConfig.model_validate(config)
        return sizes_of(resolved, bind(resolved), SourceDigests(tmp_path))

    plain = sizes(graph={"triples": [str(tmp_path / "t.txt")]})
    assert (plain.triples, plain.labels, plain.articles) == (9000, 0, 0)
    assert sizes(graph={"triples": [str(tmp_path / "t.txt.gz")]}).triples == 4000
    dump = str(tmp_path / "w.json.bz2")
    of_dump = sizes(graph={"triples": [dump], "labels": [dump]}, languages=["en", "de"])
    ratio = COSTS["bz2_plain_bytes_per_packed_byte"]
    # The dump is read once, whatever names it.
    assert of_dump.wikidata == pytest.approx(100_000 * ratio)
    assert 0 < of_dump.labels < of_dump.triples < of_dump.wikidata
    assert of_dump.languages == 2
    assert sizes(text=[{"lang": "en", "path": str(tmp_path / "a.txt")}]).text == 500
    done = CliRunner().invoke(app, ["plan", "triples", "--estimate", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["triples", "all", "time"]
