"""The command line's contract: exit codes, streams, light imports."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kgcorpus.cli import app, build_app, run_app
from kgcorpus.config import GraphConfig
from kgcorpus.contracts.errors import InputError

HEAVY = {"torch", "pyspark", "spacy", "transformers", "numba", "matplotlib"}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kgcorpus", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_importing_the_cli_imports_nothing_heavy() -> None:
    code = f"import sys, kgcorpus, kgcorpus.cli; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plan_prints_json_alone_within_five_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    done = run("plan", "--json", "--out", "o", cwd=tmp_path)
    assert time.monotonic() - started < 5
    steps = json.loads(done.stdout)
    assert {step["action"] for step in steps} == {"run"}
    assert steps[0] == {"stage": "triples", "action": "run", "reason": "not built yet"}


def test_a_target_whose_inputs_are_not_configured_is_left_out_with_one_warning(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("Q1\tP1\tQ2\n")
    (tmp_path / "c.yaml").write_text("graph: {triples: [t.txt]}\n")
    done = run("plan", "cycles", "trelm", "--config", "c.yaml", "--json", cwd=tmp_path)
    assert {step["stage"]: step["action"] for step in json.loads(done.stdout)} == {
        "triples": "run",
        "cycles": "run",
        "trelm": "n/a",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["build-corpus", "--config", "none.yaml"], 2, "no such config file"),
        (["build-corpus", "--set", "cycles.per_pear=3"], 2, "did you mean cycles.per_pair"),
        (["build-corpus", "tripels"], 2, "tripels: no such table. The tables are:"),
        (["build-corpus", "trelm", "--config", "c.yaml"], 2, "not configured"),
        (["build-corpus", "--config", "missing.yaml"], 3, "absent.txt: no such file"),
        (["status", "--out", "empty"], 3, "holds no finished build"),
        (["inspect", "cycles", "--out", "empty"], 3, "holds no finished build"),
        (["plan", "--out", "foreign"], 3, "was written in format 99"),
        (["plan", "--out", "broken"], 3, "is not a manifest"),
        (["nonsense"], 2, "No such command"),
        (["train", "nonsense", "--corpus", "empty", "--out", "r"], 2, "nonsense"),
        (["train", "kmlm", "--corpus", "", "--out", "r"], 2, "an option's path is empty"),
        (["train", "kmlm", "--corpus", "c", "--out", ""], 2, "an option's path is empty"),
        (["status", "--out", ""], 2, "an option's path is empty"),
        (["publish", "--to", ""], 2, "an option's path is empty"),
        (["package", "--to", ""], 2, "an option's path is empty"),
        (["link", "a text", "--corpus", ""], 2, "an option's path is empty"),
        (["evaluate", "linking", "--corpus", "", "--out", "f"], 2, "an option's path is empty"),
        (["status", "--out", "s3://bucket/a"], 2, "s3://bucket/a: this must be a folder of a file system"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "c.yaml").write_text("graph: {triples: [c.yaml]}\n")
    (tmp_path / "missing.yaml").write_text("graph: {triples: [absent.txt]}\n")
    for name, text in {"foreign": '{"format": 99}', "broken": "{"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_end_of_a_file_is_no_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(out: Path, *, required: bool) -> None:
        raise EOFError("no data left in file")

    monkeypatch.setattr("kgcorpus.contracts.manifest.load_manifest", read)
    assert run_app(lambda: app(["status", "--out", str(tmp_path)])) == 1
    said = capsys.readouterr().err
    assert "Abort" not in said
    assert "no data left in file" in said


def test_the_end_of_a_file_is_no_interrupt_under_spark_submit_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*arguments: object, **options: object) -> None:
        raise EOFError("no data left in file")

    monkeypatch.setattr("pipelines.runner.build", build)
    monkeypatch.setattr(sys, "argv", ["main.py", "--out", str(tmp_path)])
    assert build_app() == 1
    assert "no data left in file" in capsys.readouterr().err


def test_a_folder_of_others_is_left_as_it_is_by_the_demo_too(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    done = run("build-corpus", "--out", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_the_surface_is_frozen(tmp_path: Path) -> None:
    from typer.main import get_command

    from kgcorpus.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    surface = {
        name: sorted(option for p in c.params for option in p.opts if option.startswith("-"))
        for name, c in commands.items()
    }
    assert surface == {
        "build-corpus": ["--config", "--force", "--out", "--set"],
        "plan": ["--config", "--force", "--json", "--out", "--set"],
        "status": ["--json", "--out"],
        "inspect": ["--json", "--out", "-n"],
        "report": ["--out"],
        "doctor": ["--json"],
        "publish": ["--out", "--to"],
        "package": ["--config", "--environment", "--image", "--master", "--out", "--to"],
        "train": ["--config", "--corpus", "--max-steps", "--out", "--set"],
        "sweep": ["--config", "--corpus", "--out", "--set"],
        "evaluate": [
            "--config",
            "--corpus",
            "--data",
            "--exclude-names",
            "--lang",
            "--model",
            "--out",
            "--set",
        ],
        "convert": ["--to"],
        "link": ["--corpus", "--json", "--lang", "--set"],
        "explain": ["--answer", "--model", "--out", "--points", "--sentence", "--top"],
    }


def test_an_unknown_benchmark_is_wrong_use(tmp_path: Path) -> None:
    done = run("evaluate", "nonsense", "--model", "m", "--data", "d", "--out", "o.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cycles" in done.stderr


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        *((f"graph.{name}", "pipe") for name in GraphConfig.model_fields),
        *((f"wikipedia.{name}", "pipe") for name in ("dump", "index", "titles", "templates")),
        *(("text", kind) for kind in ("pipe", "folder", "/dev/stdin", "loop")),
    ],
)
def test_an_input_that_is_no_regular_file_is_refused(tmp_path: Path, field: str, kind: str) -> None:
    path = tmp_path / "x"
    os.mkfifo(path) if kind == "pipe" else path.mkdir() if kind == "folder" else path.symlink_to(kind)
    if kind == "loop":
        (tmp_path / "loop").symlink_to("x")
    wiki = {"lang": "en", "dump": __file__, "index": __file__}
    settings = {"graph": {"triples": __file__, "labels": __file__}, "wikipedia": [wiki]}
    section, _, name = field.partition(".")
    if section == "text":
        settings["text"] = [{"lang": "en", "path": str(path)}]
    else:
        (wiki if section == "wikipedia" else settings["graph"])[name] = str(path)
    (tmp_path / "c.yaml").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"x: (is no regular file but a|no such file)"):
        app(["build-corpus", "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "o")])


def test_evaluate_opens_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(InputError, match="x: is no regular file but a pipe"):
        app(["evaluate", "ner", "--data", str(tmp_path / "x"), "--model", "m", "--out", str(tmp_path / "o")])


@pytest.mark.parametrize(
    "words", [("plan",), ("build-corpus",), ("status",), ("train", "kmlm", "--corpus", "c")], ids=" ".join
)
def test_a_url_is_no_folder_to_write_to(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*words, "--out", "s3://bucket/out", cwd=tmp_path)
    assert done.returncode == 2
    assert "s3://bucket/out: this must be a folder" in done.stderr
    assert not list(tmp_path.iterdir())
