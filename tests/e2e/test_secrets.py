"""A build with keys in its settings and URLs leaves none on disk, in its output or among the processes."""

import subprocess
from pathlib import Path

import psutil
import pytest

from tests.e2e.commands import ONE_CORE, command, run, sets

SECRET = "hunter2-top-secret"


@pytest.mark.slow
def test_a_secret_is_nowhere_in_out_and_on_no_command_line(tmp_path: Path) -> None:
    (tmp_path / f"triples.tsv?signature={SECRET}").write_text("Q1\tP1\tQ2\n" * 300 + "Q1\tP1\n")
    url = f"file://{tmp_path}/triples.tsv?signature={SECRET}"
    keys = f"spark.hadoop.fs.s3a.secret.key: {SECRET}, spark.my.token: {SECRET}"
    file = tmp_path / "config.yaml"
    file.write_text(f'graph: {{triples: ["{url}"]}}\nspark: {{conf: {{{keys}}}}}\n')
    words = command("build-corpus", "triples", "--config", file, "--out", tmp_path / "OUT", *sets(*ONE_CORE))
    lines, output = set(), tmp_path / "output"
    with output.open("w") as stream, subprocess.Popen(words, stdout=stream, stderr=stream) as build:
        while build.poll() is None:
            for process in psutil.process_iter(["cmdline"]):
                lines.add(" ".join(process.info["cmdline"] or ()))
    # The bad line stops it: its trace goes to spark.log.
    assert build.returncode == 3, output.read_text()
    assert any("SparkSubmit" in line for line in lines)
    done = run("build-corpus", *words[4:], "--set", "on_bad_input=quarantine")
    assert done.returncode == 0, done.stderr
    files = [path for path in (tmp_path / "OUT").rglob("*") if path.is_file()]
    assert (tmp_path / "OUT" / "spark.log") in files
    assert list((tmp_path / "OUT" / "quarantine").rglob("*.jsonl"))
    texts = [*lines, done.stdout, done.stderr, output.read_text(), *(path.read_bytes() for path in files)]
    assert not [
        text for text in texts if SECRET in (text if isinstance(text, str) else text.decode("latin-1"))
    ]
