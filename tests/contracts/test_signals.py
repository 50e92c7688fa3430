"""Signals that stop a command."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# What Ctrl-C does to a build: Spark's JVM receives it too, and what cleans up afterwards fails.
_COMMAND = """
import os, signal, sys
from pathlib import Path
from kgcorpus.commands import run_app
from kgcorpus.report.progress import Progress

# A test in the background may have inherited that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def build():
    with Progress("build-corpus", folder=Path(sys.argv[1]), has_stages=True):
        try:
            os.kill(os.getpid(), int(sys.argv[2]))
        finally:
            raise ConnectionRefusedError("the JVM is gone")

sys.exit(run_app(build))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_reported_even_if_what_cleans_up_after_it_fails(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", _COMMAND, str(tmp_path), str(int(number))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("error: kgcorpus: ")
    assert "Run the same command again" in said
    assert "JVM" not in done.stderr
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert (progress["state"], progress["exit_code"]) == ("failed", 128 + number)
