"""The file of progress: what another process reads, and whether it believes it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.places import PROGRESS
from kgcorpus.report.progress.facts import (
    Facts,
    is_running,
    now,
    read_facts,
    this_process,
    write_facts,
)

OWN = Facts(command="build-corpus", stage="triples", started=now(), updated=now(), **this_process())


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    facts = replace(OWN, done=3, total=7, seconds_left=1.5, error="Köln")
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    assert [path.name for path in tmp_path.iterdir()] == [PROGRESS]


def test_a_secret_is_not_written(tmp_path: Path) -> None:
    write_facts(tmp_path, replace(OWN, error="https://user:hunter2@host/dump.bz2: no such file"))
    assert "hunter2" not in (tmp_path / PROGRESS).read_text()


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).mkdir()
    write_facts(tmp_path, OWN)
    write_facts(tmp_path / PROGRESS / "file", OWN)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"command": 1}', json.dumps({**asdict(OWN), "seconds": float("inf")}), "\udc80"],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / PROGRESS).write_bytes(os.fsencode(text))
    with pytest.raises(InputError, match=r"progress\.json: is no record of progress"):
        read_facts(tmp_path)


def test_a_process_that_is_gone_is_not_running() -> None:
    assert is_running(OWN)
    assert not is_running(replace(OWN, state="finished"))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not is_running(replace(OWN, process=ended.pid))
    # Its id may have been given to another process since.
    assert not is_running(replace(OWN, process_start=(OWN.process_start or 0) - 1))


def test_a_process_of_another_host_is_judged_by_its_last_sign() -> None:
    assert is_running(replace(OWN, host="elsewhere", updated=now()))
    assert not is_running(replace(OWN, host="elsewhere", updated="2020-01-01T00:00:00+00:00"))
    assert not is_running(replace(OWN, host="elsewhere", updated="yesterday"))
