"""The display of a command's progress, and the file that follows it."""

import contextlib
import logging
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgcorpus.cli import app
from kgcorpus.contracts.errors import InputError
from kgcorpus.report import terminal
from kgcorpus.report.progress import Counts, Progress, follow, read_facts
from kgcorpus.report.progress import show as shown
from kgcorpus.report.progress.facts import write_facts
from kgcorpus.report.progress.text import line_of
from tests.terminals import frames_of, use_terminal


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "_TICK", 0.02)
    monkeypatch.setattr(shown, "_WRITE", 0.02)
    monkeypatch.setattr(shown, "WAIT_SECONDS", 0.1)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_fits_the_terminal_whatever_the_stage_is_called(
    monkeypatch: pytest.MonkeyPatch, encoding: str, width: int
) -> None:
    raw = use_terminal(monkeypatch, encoding=encoding, width=width)
    with Progress("build-corpus", has_stages=True) as progress:
        progress.expect({"tische_für_\x1b[31m_ウィキ[red]:ant:": 10.0, "triples": 20.0})
        with (
            progress.stage("tische_für_\x1b[31m_ウィキ[red]:ant:"),
            progress.work(
                counts=lambda: Counts(done=12, total=64, bytes=12 * 10**8, rows=5), bytes_total=34 * 10**8
            ),
        ):
            time.sleep(0.2)
    frames = frames_of(raw, encoding)
    assert max(map(len, frames)) <= width
    busy = [frame for frame in frames if "12/64 tasks" in frame]
    assert busy
    assert busy[-1].startswith("1/2 tische_f")
    assert re.search(" [━╸-]", busy[-1])
    assert busy[-1].rstrip().endswith(" left")
    assert "\x1b[31m_" not in raw.getvalue().decode(encoding)


def test_a_line_that_is_printed_does_not_mix_with_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = use_terminal(monkeypatch)
    with Progress("publish") as progress, progress.work("sending", counts=lambda: Counts(done=1, total=2)):
        time.sleep(0.1)
        terminal.say("a line", console=terminal.stderr)
        time.sleep(0.1)
    assert "a line" in frames_of(raw)
    # Nothing of the bar stays.
    assert frames_of(raw)[-1] == ""


def test_without_a_terminal_a_line_is_logged_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kgcorpus")
    with Progress("publish") as progress, progress.work("sending", counts=lambda: Counts(done=1, total=2)):
        time.sleep(0.1)
    assert not caplog.messages
    monkeypatch.setattr(shown, "LINE_SECONDS", 0.05)
    with Progress("publish") as progress, progress.work("sending", counts=lambda: Counts(done=1, total=2)):
        progress.announce("Spark started in 4.0 s")
        progress.announce("Spark started in 0.0 s")
        time.sleep(0.3)
    assert caplog.messages[0] == "sending: Spark started in 4.0 s"
    assert caplog.messages[1].startswith("sending: 1/2 tasks, 0:0")
    assert len(caplog.messages) >= 3
    assert not any("0.0 s" in message for message in caplog.messages)


def test_the_file_follows_the_work_and_says_how_it_ended(tmp_path: Path) -> None:
    done = 0
    with Progress("build-corpus", folder=tmp_path, has_stages=True) as progress:
        assert read_facts(tmp_path).state == "running"
        progress.expect({"triples": 10.0, "cycles": 30.0}, tasks={"triples": 20})
        with progress.stage("triples"), progress.work(counts=lambda: Counts(done=done, total=10, rows=done)):
            done = 5
            time.sleep(0.2)
            facts = read_facts(tmp_path)
            assert (facts.stage, facts.done, facts.total, facts.rows) == ("triples", 5, 10, 5)
            # 5 of the last run's 20 tasks, and 10 of 40 seconds.
            assert facts.fraction == pytest.approx(0.0625, abs=0.001)
            assert 30 < facts.seconds_left < 41
        assert progress.tasks == {"triples": 10}
        time.sleep(0.1)
        assert read_facts(tmp_path).fraction == pytest.approx(0.25)
    (last,) = follow(tmp_path)
    assert (last.state, last.exit_code, last.fraction, last.stages_done) == ("finished", 0, 1.0, 1)


@pytest.mark.parametrize("has_last", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_watcher_waits_for_a_command_and_follows_it_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_last: bool, seconds: float
) -> None:
    monkeypatch.setattr(shown, "WAIT_SECONDS", 20)
    if has_last:
        with Progress("publish", folder=tmp_path):
            pass

    def work() -> None:
        time.sleep(0.2)
        with Progress("build-corpus", folder=tmp_path), contextlib.suppress(InputError):
            time.sleep(seconds)

    began = time.monotonic()
    command = threading.Thread(target=work)
    command.start()
    seen = list(follow(tmp_path))
    command.join()
    assert time.monotonic() - began < 10
    assert {facts.command for facts in seen} == {"build-corpus"}
    assert seen[-1].state == "finished"
    if seconds:
        assert seen[0].state == "running"


def test_a_watcher_that_waited_in_vain_reports_the_last_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(follow(tmp_path)) == []
    with Progress("publish", folder=tmp_path):
        pass
    for state, code in (("finished", 0), ("running", 4)):
        # The process id of none.
        facts = replace(read_facts(tmp_path), state=state, process=2**22 + 1)
        write_facts(tmp_path, facts)
        done = CliRunner().invoke(app, ["status", "--out", str(tmp_path), "--watch"])
        assert (done.exit_code, "for a command to start in" in done.stderr) == (code, True)
        assert ("was killed" in done.stderr) == (code == 4)


def test_work_of_one_sample_has_a_rate(tmp_path: Path) -> None:
    with Progress("build-corpus", folder=tmp_path) as progress:
        progress.expect({"triples": 1.0})
        with progress.stage("triples"), progress.work(counts=lambda: Counts(done=1, total=2, rows=500)):
            time.sleep(0.15)
            facts = read_facts(tmp_path)
            # All rows were there at the first sample.
            assert facts.rows_per_second > 1000
            assert "rows/s" in line_of(facts)


def test_work_that_precedes_the_stages_own_is_not_in_its_share(tmp_path: Path) -> None:
    counts = Counts(bytes=90, doing="preparing")
    with Progress("build-corpus", folder=tmp_path) as progress:
        progress.expect({"pages": None})
        with progress.stage("pages"), progress.work(counts=lambda: counts, bytes_total=100):
            time.sleep(0.15)
            facts = read_facts(tmp_path)
            assert (facts.doing, facts.bytes_done, facts.fraction) == ("preparing", 90, 0)
            counts = Counts(active=1, total=1, bytes=20)
            time.sleep(0.15)
            facts = read_facts(tmp_path)
            assert (facts.doing, facts.bytes_done, facts.fraction) == ("", 20, 0.2)


def test_hashing_before_the_stages_are_known_does_not_fill_the_bar(tmp_path: Path) -> None:
    with Progress("build-corpus", folder=tmp_path, has_stages=True) as progress:
        with progress.work("hashing inputs", counts=lambda: Counts(bytes=100), bytes_total=100):
            time.sleep(0.15)
            facts = read_facts(tmp_path)
            assert (facts.bytes_done, facts.fraction) == (100, 0)
        progress.expect({"triples": 10.0, "cycles": 30.0})
        with progress.stage("triples"), progress.work(counts=lambda: Counts(done=1, total=2)):
            time.sleep(0.15)
            assert read_facts(tmp_path).fraction == 0.125


def test_an_error_is_the_last_word_of_the_file(tmp_path: Path) -> None:
    def fail(progress: Progress) -> None:
        with progress.stage("triples"), progress.work(counts=lambda: Counts(done=1 // 0)):
            time.sleep(0.1)
            raise InputError("no such file", where="x", hint="Look")

    with pytest.raises(InputError), Progress("build-corpus", folder=tmp_path) as progress:
        # Counts that cannot be had end nothing.
        fail(progress)
    facts = read_facts(tmp_path)
    assert (facts.state, facts.stage, facts.error, facts.exit_code) == (
        "failed",
        "triples",
        "x: no such file. Look",
        3,
    )


def test_starting_spark_is_not_in_a_stages_time() -> None:
    with Progress("build-corpus") as progress, progress.stage("triples"):
        with progress.work("starting Spark", timed=False):
            time.sleep(0.3)
        time.sleep(0.05)
        assert 0.05 <= progress.stage_seconds < 0.3
