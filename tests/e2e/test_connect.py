"""Spark Connect as its user sees it: progress, the end of a session, errors."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import free_port
from tests.e2e.commands import sets
from tests.e2e.connect import Server, build, connect_client, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_progress_counts_the_tasks_of_the_server_and_the_session_ends(server: Server, tmp_path: Path) -> None:
    assert server.sessions() == 0
    out = tmp_path / "out"
    done = server.build(out, "linked_sentences", "--verbose", *sets("spark.partitions=3"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"1/\d+ \w+: Spark started in [\d.]+ s", done.stderr)
    # A line every 5 seconds.
    lines = re.findall(r"progress\S*: \d+/\d+ (\w+): .*(?:left|so far)", done.stderr)
    assert lines
    times = json.loads((out / "run.json").read_text())["times"]
    assert {"pages", "titles", "linked_sentences"} <= times.keys()
    assert all(time["tasks"] > 1 for time in times.values()), times
    counts = [tuple(map(int, pair)) for pair in re.findall(r"(\d+)/(\d+) tasks", done.stderr)]
    assert all(finished <= total for finished, total in counts)
    last = json.loads((out / "progress.json").read_text())
    assert last["state"] == "finished"
    # Each stage that ended was counted once.
    assert (last["stages_done"], last["stages"]) == (len(times), len(times))
    assert server.sessions() == 0


def test_a_bad_input_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\n" * 20_000 + "Q2\tP1\n")
    (tmp_path / "my.yaml").write_text(f"graph: {{triples: ['{tmp_path}/triples.txt']}}\n")
    done = server.build(tmp_path / "out", "triples", "--config", str(tmp_path / "my.yaml"))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert "triples.txt:20001: a triple (h, r, t) has at least 3 tab-separated columns, here 2" in error


def test_no_server_is_reported_at_once(tmp_path: Path) -> None:
    done = build(connect_client(), f"sc://127.0.0.1:{free_port()}", tmp_path / "out", "triples")
    assert done.returncode == 4
    assert "no server listens there" in done.stderr
