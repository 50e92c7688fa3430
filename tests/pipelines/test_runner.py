"""What the runner commits, refuses, takes up again, and says of tables that it has not come to."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError, KgcorpusError
from kgcorpus.contracts.manifest import Manifest, TableEntry, load_manifest
from kgcorpus.report.progress import Progress
from pipelines.bound import bind
from pipelines.build_folders import LocalBuild
from pipelines.execute import run_stage
from pipelines.plan import Step, plan
from pipelines.runner import _pending, build
from pipelines.session import create_session
from pipelines.source_digests import SourceDigests

BOUND = bind(BuildConfig())
STEPS = [
    Step(BOUND["triples"], "skip", "up to date"),
    Step(BOUND["cycles"], "run", "its inputs changed"),
    Step(BOUND["xlr"], "n/a", "not configured: xlr"),
    Step(BOUND["pages"], "n/a", "not configured: wikipedia.dump"),
]


@pytest.mark.parametrize(
    ("before", "complete", "expected"),
    [
        ((), True, {"cycles", "xlr"}),
        (("triples", "trelm"), True, {"cycles", "xlr"}),
        ((), False, {"cycles"}),
        (("triples", "trelm", "xlr"), False, {"cycles", "trelm", "xlr"}),
    ],
)
def test_a_build_of_all_looks_at_every_table_and_one_of_targets_at_its_own(
    before, complete, expected
) -> None:
    tables = {"xlr": TableEntry("xlr", "", "", 0, {}, {}, ())}
    manifest = Manifest(tables, pending=frozenset(before))
    assert _pending(manifest, STEPS, complete=complete) == {"report", *expected}


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("killed", [True, False], ids=["killed before the manifest", "whole"])
def test_what_was_set_aside_is_not_committed_under_the_policy_fail(
    config: BuildConfig, tmp_path: Path, killed: bool
) -> None:
    build(config, tmp_path / "out", targets=["triples"])
    if killed:
        (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"triples\.txt:4"):
        build(config.model_copy(update={"on_bad_input": "fail"}), tmp_path / "out", targets=["triples"])


@pytest.mark.slow
def test_a_build_passes_for_finished_when_its_report_goes_with_its_tables(
    config: BuildConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(config, out, targets=["triples"])
    assert not load_manifest(out).pending
    (out / "report.json").unlink()
    (out / "report.json").mkdir()
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ3\n" * 3)
    with pytest.raises(OSError, match=r"report\.json"):
        build(config, out, targets=["triples"])
    assert load_manifest(out).pending == {"report"}
    (out / "report.json").rmdir()
    build(config, out, targets=["triples"])
    assert not load_manifest(out).pending


@pytest.mark.slow
def test_a_build_that_is_up_to_date_is_pending_at_no_time(config: BuildConfig, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(config, out, targets=["triples"])
    (out / "report.json").unlink()
    (out / "report.json").mkdir()
    with pytest.raises(OSError, match=r"report\.json"):
        build(config, out, targets=["triples"])
    assert not load_manifest(out).pending


@pytest.mark.slow
def test_a_damaged_table_is_made_again_and_what_is_whole_is_hashed_no_more(
    config: BuildConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(config, out, targets=["triples"])
    before = load_manifest(out)
    (file,) = before.tables["triples"].files
    whole = (out / file.path).read_bytes()
    (out / file.path).write_bytes(whole[:10] + bytes([whole[10] ^ 1]) + whole[11:])
    with pytest.raises(InputError, match="its bytes are not those that the manifest names"):
        before.check_files(out, ["triples"])
    assert [o.action for o in build(config, out, targets=["triples"])] == ["built"]
    assert (out / file.path).read_bytes() == whole
    assert load_manifest(out) == before
    digests = SourceDigests(out)
    steps = plan(
        config, bind(config), out, manifest=before, digests=digests, targets=["triples"], force=False
    )
    assert ([step.action for step in steps], digests.files.hashed) == (["skip"], set())


@pytest.mark.slow
def test_shards_of_a_killed_build_count_only_under_the_sources_that_it_saw(
    config: BuildConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(config, out, targets=["triples"])
    (file,) = load_manifest(out).tables["triples"].files
    other = pq.read_table(out / file.path).slice(0, 0)
    for touched, rows in ((False, 0), (True, 1)):
        (out / "manifest.json").unlink()
        # As if the source had been another while the build read it.
        pq.write_table(
            other.replace_schema_metadata({"kgcorpus": '{"count.good_input": 3}'}), out / file.path
        )
        if touched:
            (tmp_path / "triples.txt").write_bytes((tmp_path / "triples.txt").read_bytes())
        build(config, out, targets=["triples"])
        assert load_manifest(out).tables["triples"].rows == rows


@pytest.mark.slow
def test_a_source_of_a_later_stage_is_known_after_a_build_that_stopped_in_it(
    config: BuildConfig, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.tsv"
    # Behind the records that are checked before the first stage.
    good = "".join(f"Q{i}\tde\tUlm\n" for i in range(10_001))
    labels.write_text(f"{good}Q1\tde\tKöln\n", encoding="latin-1")
    graph = config.graph.model_copy(update={"labels": (str(labels),)})
    stopping = config.model_copy(update={"graph": graph, "on_bad_input": "fail"})
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\n")
    with pytest.raises(InputError, match="not UTF-8"):
        build(stopping, tmp_path / "out", targets=["entities"])
    assert SourceDigests(tmp_path / "out").files.is_as_recorded(labels)


@pytest.mark.slow
def test_a_stage_that_reads_an_undeclared_field_fails(config: BuildConfig, tmp_path: Path) -> None:
    bound = bind(config)["triples"]
    greedy = replace(bound, stage=replace(bound.stage, run=lambda context: context.config.cycles.per_pair))
    with pytest.raises(KgcorpusError, match=r"^triples: the stage reads cycles, which it does not declare"):
        run_stage(
            Step(greedy, "run", "not built yet"),
            config,
            LocalBuild(tmp_path / "out"),
            manifest=Manifest(),
            digests=SourceDigests(tmp_path / "out"),
            progress=Progress("build-corpus"),
        )


@pytest.mark.slow
def test_a_sign_of_life_comes_within_5_seconds_of_sparks_start(
    config: BuildConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kgcorpus")
    bound = bind(config)["triples"]
    started: list[float] = []
    before: list[logging.LogRecord] = []

    def start(*values: Any, **named: Any) -> Any:
        session = create_session(*values, **named)
        started.append(time.time())
        return session

    def work(context: Any) -> Any:
        before.extend(caplog.records)
        return bound.stage.run(context)

    monkeypatch.setattr("pipelines.session.create_session", start)
    with Progress("build-corpus") as progress:
        run_stage(
            Step(replace(bound, stage=replace(bound.stage, run=work)), "run", "not built yet"),
            config,
            LocalBuild(tmp_path / "out"),
            manifest=Manifest(),
            digests=SourceDigests(tmp_path / "out"),
            progress=progress,
        )
    (sign,) = (record for record in caplog.records if "Spark started in" in record.getMessage())
    # Not after the first tasks, which may take hours.
    assert sign in before
    assert sign.created - started[0] <= 5
