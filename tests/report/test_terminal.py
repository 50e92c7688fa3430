"""Nothing that came from outside steers the terminal, whichever command shows it."""

import ast
import dataclasses
import json
import logging
import shutil
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.cli import app, run_app
from kgcorpus.contracts.store import sha256_of
from kgcorpus.report import terminal
from kgcorpus.report.visible import UNSAFE

ROOT = Path(__file__).resolve().parents[2]
PLANTED = "\x1b]0;pwned\x07\x1b[31mHACK\x9b5m\u202e :ant: [red]"
# The second one prints into a recording console only (`terminal.recorder`).
MAY_PRINT = {"kgcorpus/report/terminal.py", "trainer/trelm/explain.py"}


def test_one_module_prints() -> None:
    found = set()
    for package in ("kgcorpus", "pipelines", "trainer"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and prints(node.func):
                    found.add(str(path.relative_to(ROOT)))
    assert found == MAY_PRINT


def prints(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="print") | ast.Attribute(attr="print" | "echo" | "secho"):
            return True
        case ast.Attribute(value=ast.Attribute(attr="stdout" | "stderr"), attr="write" | "writelines"):
            return True
        case ast.Name(id="Console") | ast.Attribute(attr="Console"):
            return True
    return False


@pytest.fixture
def foreign(build, tmp_path: Path) -> Path:
    """A build of somebody else's, with control characters wherever a name or a text is."""
    out = tmp_path / "foreign"
    shutil.copytree(build[0], out)
    manifest = dataclasses.replace(build[1], tables=dict(build[1].tables))
    entry = manifest.tables["plain_text"]
    rows = [{"id": PLANTED, "lang": PLANTED, "text": f"{PLANTED}\n{PLANTED}", "length": 128}]
    file = next(file for file in entry.files if file.rows)
    pq.write_table(
        pa.Table.from_pylist(rows).rename_columns(["id", "lang", "text", PLANTED]), out / file.path
    )
    size, digest = (out / file.path).stat().st_size, sha256_of(out / file.path)
    file = dataclasses.replace(file, bytes=size, sha256=digest)
    manifest.tables["plain_text"] = dataclasses.replace(entry, drops={PLANTED: 1}, files=(file,))
    manifest.tables[PLANTED] = entry
    manifest.save(out)
    (out / "config.yaml").write_text("languages: [en]\n")
    return out


def shown(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command prints, on both streams; nothing in it may steer."""
    run_app(lambda: app([*map(str, words)]))
    done = capsys.readouterr()
    text = done.out + done.err
    assert not UNSAFE.search(text.replace("\n", "")), repr(text)
    return text


@pytest.mark.parametrize("words", [("status",), ("inspect", "plain_text")])
def test_a_foreign_build_is_shown_with_its_control_characters_escaped(
    foreign: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    escaped = r"\x1b]0;pwned\x07\x1b[31mHACK\x9b5m\u202e :ant: [red]"
    text = shown(capsys, *words, "--out", foreign)
    assert text.count(escaped) >= 2
    # As JSON they are escaped too, and mean the same.
    assert PLANTED in strings(json.loads(shown(capsys, *words, "--out", foreign, "--json")))


def strings(value: object) -> set[str]:
    """All strings in a JSON value, keys too."""
    if isinstance(value, dict):
        return {*value, *(text for item in value.values() for text in strings(item))}
    if isinstance(value, list):
        return {text for item in value for text in strings(item)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--out", f"none-{PLANTED}"),
        ("status", PLANTED),
        (PLANTED,),
        (f"--{PLANTED}",),
        ("plan", "--set", f"{PLANTED}=1"),
        ("plan", "--config", f"none-{PLANTED}.yaml"),
        ("plan", "--config", "keys.yaml"),
        ("build-corpus", PLANTED),
        ("package", "--to", "package", "--image", PLANTED),
        ("link", "text", "--corpus", "none", "--lang", PLANTED),
    ],
)
def test_arguments_and_errors_are_shown_with_their_control_characters_escaped(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys.yaml").write_text(json.dumps({PLANTED: 1}), encoding="utf-8")
    assert shown(capsys, *words)


def test_logs_and_warnings_of_every_library_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = logging.getLogger("transformers.a_module")
    own = logging.StreamHandler()
    foreign.addHandler(own)
    try:
        terminal.guard_logs(debug=False)
        foreign.warning("lacks %s\nand more", PLANTED)
        logging.getLogger("kgcorpus.mirror").info("fetching %s", f"{PLANTED}\nforged line")
        try:
            raise ValueError(PLANTED)
        except ValueError:
            logging.getLogger("kgcorpus").warning("failed", exc_info=True)
        warned = warnings.formatwarning(PLANTED, UserWarning, "file.py", 1)
    finally:
        foreign.removeHandler(own)
        logging.setLogRecordFactory(logging.LogRecord)
        warnings.formatwarning = terminal._format_warning
    text = capsys.readouterr().err + warned
    assert "HACK" in text
    assert not UNSAFE.search(text.replace("\n", ""))
    assert "\nforged line" not in text
