"""The command line's contract: exit codes, streams, light imports."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kgcorpus import __version__
from kgcorpus.cli import app, build_app, run_app
from kgcorpus.config import GraphConfig
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.manifest import load_manifest
from tests.made import command, finished_build

HEAVY = {"torch", "pyspark", "spacy", "transformers", "numba", "matplotlib"}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kgcorpus", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_importing_the_cli_imports_nothing_heavy() -> None:
    code = f"import sys, kgcorpus, kgcorpus.cli; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def cpu_seconds_of_children() -> float:
    """So far; unlike the time on the clock it does not grow with what else the machine does."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_plan_prints_json_alone_within_five_seconds(tmp_path: Path) -> None:
    before = cpu_seconds_of_children()
    done = run("plan", "--json", "--out", "o", cwd=tmp_path)
    assert cpu_seconds_of_children() - before < 5
    steps = json.loads(done.stdout)
    # The embedded world has no dump of Wikidata.
    assert [step["stage"] for step in steps if step["action"] != "run"] == ["wikidata"]
    assert steps[1] == {"stage": "triples", "action": "run", "reason": "not built yet"}


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
        (["build-corpsu"], 2, "Did you mean 'build-corpus'?"),
        (["build-corpus", "tripels"], 2, "Did you mean triples?"),
        (["evaluate", "xrl", "--out", "f"], 2, "linking, metaqa"),
        (["evaluate", "xrl", "--model", "m", "--data", "d", "--out", "f"], 2, "Did you mean xlr?"),
        (["train", "kmml", "--corpus", "empty", "--out", "r"], 2, "Did you mean kmlm?"),
        (["package", "--environment", "pexx"], 2, "Did you mean pex?"),
        (["plan", "--config", "demo-smal"], 2, "Did you mean demo-small?"),
        (["train", "nonsense", "--corpus", "empty", "--out", "r"], 2, "nonsense"),
        (["train", "kmlm", "--corpus", "", "--out", "r"], 2, "an option's path is empty"),
        (["train", "kmlm", "--corpus", "c", "--out", ""], 2, "an option's path is empty"),
        (["status", "--out", ""], 2, "an option's path is empty"),
        (["publish", "--to", ""], 2, "an option's path is empty"),
        (["package", "--to", ""], 2, "an option's path is empty"),
        (["link", "a text", "--corpus", ""], 2, "an option's path is empty"),
        (["evaluate", "linking", "--corpus", "", "--out", "f"], 2, "an option's path is empty"),
        (["status", "--out", "hdfs://node/a"], 2, "hdfs://node/a: hdfs:// has no conditional writes"),
        (["build-corpus", "--out", "hdfs://node/a"], 2, "a URL that starts with s3://, gs://, abfs://"),
        (["build-corpus", "--out", "s3://k:v@bucket/a"], 2, "keys are taken from the environment"),
        (["plan", "--out", "s3://bucket/a?sig=x"], 2, "contains a key, a query or a fragment"),
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
    def read(out: str) -> None:
        raise EOFError("no data left in file")

    monkeypatch.setattr("kgcorpus.mirror.manifest_of", read)
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
        "demo": ["--max-steps", "--out", "--quiet", "--set", "--verbose", "-q", "-v"],
        "init": [
            *("--descriptions", "--encoder", "--force", "--index", "--labels", "--languages", "--relations"),
            *("--set", "--templates", "--text", "--titles", "--triples", "--types", "--wikipedia"),
        ],
        "build-corpus": [
            "--config",
            "--force",
            "--no-lock",
            "--out",
            "--quiet",
            "--set",
            "--verbose",
            "-q",
            "-v",
        ],
        "plan": ["--check", "--config", "--estimate", "--force", "--json", "--out", "--set"],
        "status": ["--json", "--out", "--watch"],
        "inspect": ["--json", "--out", "-n"],
        "report": ["--out", "--run"],
        "doctor": ["--json"],
        "publish": ["--model", "--out", "--public", "--quiet", "--to", "--verbose", "-q", "-v"],
        "package": ["--config", "--environment", "--image", "--master", "--out", "--to"],
        "train": [
            "--config",
            "--corpus",
            "--max-steps",
            "--out",
            "--quiet",
            "--resume",
            "--set",
            "--verbose",
            "-q",
            "-v",
        ],
        "sweep": ["--config", "--corpus", "--out", "--quiet", "--set", "--verbose", "-q", "-v"],
        "evaluate": [
            "--config",
            "--corpus",
            "--data",
            "--exclude-names",
            "--lang",
            "--list",
            "--model",
            "--out",
            "--quiet",
            "--set",
            "--verbose",
            "-q",
            "-v",
        ],
        "convert": ["--to"],
        "link": ["--corpus", "--json", "--lang", "--set"],
        "download": ["--mirror", "--plan", "--quiet", "--to", "--verbose", "-q", "-v"],
        "reproduce": [
            *("--data", "--figure", "--out", "--plan", "--quiet", "--scale", "--set", "--table"),
            *("--verbose", "-q", "-v"),
        ],
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


@pytest.mark.parametrize("place", ["PIPE", "PIPE?sig=1", "/dev/stdin", "/dev/zero", "FOLDER"])
def test_a_file_url_names_a_regular_file(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "x")
    os.mkfifo(tmp_path / "x?sig=1")
    place = place.replace("PIPE", str(tmp_path / "x")).replace("FOLDER", str(tmp_path))
    for scheme in ("file", "local"):
        setting = f"graph.triples={scheme}://{place}"
        with pytest.raises(InputError, match=f"{scheme}://.* is no regular file but a"):
            app(
                [
                    "build-corpus",
                    "triples",
                    "--set",
                    setting,
                    "--config",
                    "/dev/null",
                    "--out",
                    f"{tmp_path}/o",
                ]
            )


def test_evaluate_opens_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(InputError, match="x: is no regular file but a pipe"):
        app(["evaluate", "ner", "--data", str(tmp_path / "x"), "--model", "m", "--out", str(tmp_path / "o")])


@pytest.mark.parametrize(
    "words", [("demo",), ("reproduce", "kmlm"), ("sweep", "g.yaml", "--corpus", "c")], ids=" ".join
)
def test_a_url_is_no_folder_to_write_to(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*words, "--out", "s3://bucket/out", cwd=tmp_path)
    assert done.returncode == 2
    assert "s3://bucket/out: this must be a folder" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("package", "--out", "hdfs://node/out"), "hdfs://node/out: hdfs:// has no conditional writes"),
        (("package", "--out", "s3://key:no-such-secret@b/out"), "s3://b/out: contains a key"),
        (
            ("explain", "--model", "s3://b/run/model", "--sentence", "[MASK]"),
            "s3://b/run/model: this must be",
        ),
        (("evaluate", "ner", "--model", "s3://b/m", "--data", "d", "--out", "o"), "s3://b/m: this must be"),
        (("evaluate", "ner", "--model", "m", "--data", "d", "--out", "s3://b/o"), "s3://b/o: this must be"),
        (("report", "--run", "s3://b/run"), "s3://b/run: this must be"),
        (("publish", "--model", "s3://b/run", "--to", "store"), "s3://b/run: this must be"),
        (("convert", "s3://b/m", "--to", "m"), "s3://b/m: this must be"),
        (("build-corpus", "--no-lock", "--out", "out"), "out: --no-lock is for an OUT in an object store"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_url_or_option_that_is_not_served_is_refused_in_one_line(
    words: tuple[str, ...], error: str, tmp_path: Path
) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert error in line
    assert "no-such-secret" not in done.stdout + line
    assert not list(tmp_path.iterdir())


def test_the_version_and_the_help_need_no_command(tmp_path: Path) -> None:
    shown = run("--version", cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (0, f"{__version__}\n")
    for words in (["-h"], ["train", "-h"]):
        assert run(*words, cwd=tmp_path).stdout == run(*words[:-1], "--help", cwd=tmp_path).stdout != ""


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("kgcorpus bui", "build-corpus"),
        ("kgcorpus train tr", "trelm"),
        ("kgcorpus evaluate xl", "xlr-zero-shot"),
    ],
)
def test_a_shell_completes_commands_and_names(tmp_path: Path, line: str, word: str) -> None:
    environ = {**os.environ, "_KGCORPUS_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environ["COMP_CWORD"] = str(line.count(" "))
    code = "import sys; sys.argv = ['kgcorpus']; from kgcorpus.cli import entry; entry()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False
    )
    assert word in done.stdout.split()


def test_status_names_what_a_stopped_build_has_not_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = finished_build(tmp_path)
    assert command("status", "--out", out) == 0
    assert "pending" not in "".join(capsys.readouterr())
    replace(load_manifest(out), pending=frozenset({"relations", "triples", "report"})).save(out)
    assert command("status", "--out", out) == 0
    shown = capsys.readouterr()
    assert [(line.split()[0], "pending" in line) for line in shown.out.splitlines()] == [
        ("relations", True),
        ("triples", True),
    ]
    assert "before these were finished: relations, report, triples" in " ".join(shown.err.split())
    assert command("status", "--out", out, "--json") == 0
    assert [row["pending"] for row in json.loads(capsys.readouterr().out)] == [True, True]


def test_a_ready_configuration_is_found_by_its_name_from_anywhere(tmp_path: Path) -> None:
    own = tmp_path / "kmlm-mbert"
    own.mkdir()
    code = (
        "import sys; from pathlib import Path; from kgcorpus.config import load;"
        "from trainer.config import TrainingConfig;"
        "print([load(TrainingConfig, Path(name)).base_model for name in sys.argv[1:]])"
    )
    names = ["kmlm-mbert", "kmlm-mbert.yaml", "conf/kmlm-mbert.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, cwd=own, check=False
    )
    assert done.stdout.strip() == str(["bert-base-multilingual-cased"] * 3), done.stderr


# Every command, without the libraries of the extras: none ends in a trace, and none is a fault of ours.
_WITHOUT_EXTRAS = """
import json, sys
from importlib.metadata import requires
from importlib.util import find_spec
from kgcorpus.contracts.extras import EXTRAS

blocked = {package for packages in EXTRAS.values() for package in packages} - {"packaging"}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from kgcorpus.cli import app, run_app
for words in json.load(sys.stdin):
    print(">", *words[:2], file=sys.stderr)
    print(run_app(lambda: app(words)))
"""


def test_a_missing_extra_is_named_with_its_pip_command_by_every_command(tmp_path: Path) -> None:
    build, file = finished_build(tmp_path)
    commands = {
        "spark": [["build-corpus", "--out", "new"], ["plan", "--config", str(file), "--out", str(build)]],
        "link": [
            ["link", "Paris", "--corpus", str(build)],
            ["evaluate", "linking", "--corpus", str(build), "--out", "f"],
        ],
        "train": [
            *(
                ["train", name, "--corpus", str(build), "--out", "run"]
                for name in ("kmlm", "trelm", "jaket", "transe")
            ),
            ["evaluate", "xlr", "--model", "m", "--data", ".", "--out", "f"],
            ["explain", "--model", "m", "--sentence", "[MASK]"],
            ["convert", ".", "--to", "c"],
        ],
    }
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRAS],
        input=json.dumps([words for group in commands.values() for words in group]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    told = done.stderr.split("> ")[1:]
    expected = [extra for extra, group in commands.items() for _ in group]
    for extra, said in zip(expected, told, strict=True):
        assert f"is not installed. Run: {install_command(extra)}" in said, said
    assert set(done.stdout.split()) == {"4"}
