"""A build as its user sees it: on terminals of 80 and 120 columns, without one, and from another process."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.commands import ONE_CORE, command, run, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
TARGETS = ("triples",)
SETTINGS = sets(*ONE_CORE, "spark.memory=1g")
_ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


@dataclass
class Shown:
    """What a terminal showed.

    Attributes:
        frames: what was written from one return to the next, without escapes.
    """

    code: int
    frames: list[str]

    def having(self, text: str) -> list[str]:
        return [frame for frame in self.frames if text in frame]


def in_terminal(columns: int, *words: str | Path, **environment: str) -> Shown:
    """Run a command in a pseudo-terminal, which is its stdin, stdout and stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {**os.environ, "TERM": "xterm", **environment}
    for name in ("COLUMNS", "LINES"):
        environ.pop(name, None)
    process = subprocess.Popen(
        command(*words), stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
    )
    os.close(theirs)
    data = b""
    while True:
        # A process that was started may hold the terminal open.
        ready, _, _ = select.select([ours], [], [], 1)
        try:
            chunk = os.read(ours, 1 << 16) if ready else b""
        except OSError:
            break
        data += chunk
        if not chunk and process.poll() is not None:
            break
    os.close(ours)
    text = data.decode(environ.get("PYTHONIOENCODING", "utf-8"))
    return Shown(process.wait(), [_ESCAPES.sub("", frame) for frame in re.split(r"[\r\n]+", text)])


@dataclass
class Builds:
    """One folder, built first without a terminal and watched, then twice on terminals; `first` is another."""

    lines: str
    stdout: str
    seen: list[dict[str, object]]
    watched: subprocess.CompletedProcess[str]
    watched_on_terminal: Shown
    first: Shown
    narrow: Shown
    wide: Shown
    out: Path


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    out = tmp_path_factory.mktemp("progress") / "out"
    words = ("build-corpus", *TARGETS, "--out", out, *SETTINGS)
    # It waits for the build.
    follower = subprocess.Popen(
        command("status", "--out", out, "--watch", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with subprocess.Popen(
        command(*words, "--verbose"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as build:
        while not (out / "progress.json").exists():
            assert build.poll() is None, build.stderr.read()
            time.sleep(0.1)
        on_terminal = in_terminal(80, "status", "--out", out, "--watch")
        stdout, stderr = build.communicate()
        watched_out, watched_err = follower.communicate()
    assert build.returncode == 0, stderr
    watched = subprocess.CompletedProcess([], follower.returncode, watched_out, watched_err)
    return Builds(
        lines=stderr,
        stdout=stdout,
        seen=[json.loads(line) for line in watched_out.splitlines()],
        watched=watched,
        watched_on_terminal=on_terminal,
        first=in_terminal(80, "build-corpus", *TARGETS, "--out", out.with_name("first"), *SETTINGS),
        narrow=in_terminal(80, *words, "--force"),
        wide=in_terminal(120, *words, "--force", PYTHONIOENCODING="latin-1"),
        out=out,
    )


@pytest.mark.parametrize(("name", "columns"), [("narrow", 80), ("wide", 120)])
def test_a_build_shows_one_bar_that_fits_the_terminal(builds: Builds, name: str, columns: int) -> None:
    shown: Shown = getattr(builds, name)
    assert shown.code == 0
    bars = [frame for frame in shown.frames if frame.startswith("1/1 triples")]
    assert max(map(len, bars)) <= columns
    assert shown.having("1/1 triples: starting Spark")
    busy = [frame for frame in bars if re.search(r"\d+/\d+ tasks", frame)]
    assert busy
    # The last run's time is known, so the time left is that of the build.
    assert all(re.search(r"\d:\d\d left *$", frame) and "stage" not in frame for frame in busy)
    assert any(re.search(r"[\d.]+/21 kB", frame) for frame in busy)
    assert any(re.search(r"\d rows/s|\dk rows/s", frame) for frame in busy)
    # The lines of the build stand alone, and no bar stays behind.
    (line,) = shown.having(" rows ")
    assert re.fullmatch(r"triples +1,290 rows +[\d,]+/s +[\d.]+ s  built", line)
    assert re.fullmatch(r"report: \S+report\.html", [frame for frame in shown.frames if frame][-1])


def test_a_first_build_shows_all_parts_on_80_columns(builds: Builds) -> None:
    assert builds.first.code == 0
    bars = builds.first.having("1/1 triples")
    assert max(map(len, bars)) <= 80
    known = re.compile(r"\d+/\d+ tasks +[\d.]+/21 ?kB +[\d.]+k? rows/s +(stage )?\d+:\d\d( left| so far)? *$")
    assert any(known.search(frame) for frame in bars), bars


def test_without_a_terminal_lines_say_the_same(builds: Builds) -> None:
    # A line every 30 seconds would not appear in a build of seconds: --verbose logs one every 5 seconds.
    assert "\x1b" not in builds.lines
    first = re.search(r"1/1 triples: Spark started in ([\d.]+) s", builds.lines)
    assert first
    assert re.search(r"triples: run, not built yet\n", builds.lines)
    assert re.search(r"progress\S*: 1/1 triples: .*(left|so far)\n", builds.lines)
    assert [line.split()[0] for line in builds.stdout.splitlines()] == [
        "triples",
        "built:",
        "corpus:",
        "report:",
    ]


def test_starting_spark_is_not_in_a_stages_seconds(builds: Builds) -> None:
    (last,) = (row for row in builds.seen[::-1] if row["state"] == "finished")
    spark = float(re.search(r"Spark started in ([\d.]+) s", builds.lines)[1])
    stage = float(re.search(r"([\d.]+) s  built", builds.stdout)[1])
    assert stage + spark <= last["seconds"] + 0.2


def test_another_process_follows_the_build_until_it_ends(builds: Builds) -> None:
    assert builds.watched.returncode == 0
    (waiting,) = builds.watched.stderr.splitlines()
    assert waiting == f"waiting up to 60 s for a command to start in {builds.out}"
    assert builds.seen[-1]["state"] == "finished"
    doing = {(row["stage"], row["doing"]) for row in builds.seen}
    assert ("triples", "starting Spark") in doing
    assert ("triples", "") in doing
    # Counted at the stage's end; what a watcher sees once a second depends on the machine.
    assert json.loads((builds.out / "run.json").read_text())["times"]["triples"]["tasks"] > 1
    # The fraction never decreases by itself, so it is compared with the other facts.
    running = [row for row in builds.seen if row["state"] == "running"]
    assert {row["fraction"] for row in running if row["doing"] == "starting Spark"} == {0}
    assert all(row["fraction"] < 1 for row in running if row["stage"])
    for done, total in (("bytes_done", "bytes"), ("done", "total")):
        assert all((row[done] or 0) <= row[total] for row in running if row[total] is not None)
    shown = builds.watched_on_terminal
    assert shown.code == 0
    assert shown.having("1/1 triples")
    assert max(map(len, shown.having("1/1 triples"))) <= 80
    assert re.match("build-corpus finished at ", [frame for frame in shown.frames if frame][-1])


def test_progress_is_in_no_manifest_and_no_fingerprint(builds: Builds) -> None:
    assert "progress.json" not in (builds.out / "manifest.json").read_text()
    done = run("plan", *TARGETS, "--out", builds.out, *SETTINGS, "--json")
    assert all(row["action"] == "skip" for row in json.loads(done.stdout))
    assert not (builds.out / "scratch" / "triples").exists()


def test_a_quiet_build_prints_nothing(builds: Builds) -> None:
    words = ("build-corpus", *TARGETS, "--out", builds.out, *SETTINGS)
    done = run(*words, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    both = run(*words, "--quiet", "--verbose")
    assert both.returncode == 2
    assert "exclude each other" in both.stderr


def test_a_build_that_was_killed_is_not_said_to_run(builds: Builds) -> None:
    words = ("build-corpus", *TARGETS, "--out", builds.out, *SETTINGS, "--force")
    with subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as build:
        while json.loads((builds.out / "progress.json").read_text())["doing"] != "starting Spark":
            assert build.poll() is None
            time.sleep(0.1)
        running = run("status", "--out", builds.out)
        assert f"build-corpus is running (process {build.pid} on " in running.stderr
        assert running.returncode == 0
        os.killpg(build.pid, signal.SIGKILL)
    gone = run("status", "--out", builds.out)
    assert f"build-corpus was killed: process {build.pid} on " in gone.stderr
    assert "1/1 triples" in gone.stderr
