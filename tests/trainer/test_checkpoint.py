"""Folders arrive whole, and a kill at any moment leaves the old one or the new one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.model_files import seal
from tests.trainer.toy import rows_of, write_corpus
from trainer.checkpoint import recover_folder, write_folder
from trainer.config import ModelConfig, TrainingConfig
from trainer.run import train

SMALL = TrainingConfig(
    schedule_steps=6,
    checkpoint_every=2,
    records_per_step=8,
    rows_per_forward=8,
    keep=3,
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=300),
)
# Ends itself before the n-th rename, as a kill would.
REPLACE = """
import os, sys
from pathlib import Path
from trainer.checkpoint import write_folder
renames = 0
def hook(event, arguments):
    global renames
    if event == "os.rename":
        renames += 1
        if renames == int(sys.argv[2]):
            os._exit(9)
sys.addaudithook(hook)
write_folder(Path(sys.argv[1]), lambda folder: (folder / "a").write_text("new"))
"""


@pytest.mark.parametrize("rename", [1, 2])
def test_a_kill_between_the_renames_loses_nothing(tmp_path: Path, rename: int) -> None:
    model = tmp_path / "model"
    write_folder(model, lambda folder: (folder / "a").write_text("old"))
    done = subprocess.run([sys.executable, "-c", REPLACE, str(model), str(rename)], check=False)
    assert done.returncode == 9
    recover_folder(model)
    assert (model / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]
    write_folder(model, lambda folder: (folder / "a").write_text("new"))
    assert (model / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    corpus = write_corpus(folder / "corpus", rows_of(60))
    train("kmlm", corpus=corpus, out=folder / "run", config=SMALL)
    return corpus, folder / "run"


def test_fewer_steps_than_are_done_are_refused_and_the_model_stays(run: tuple[Path, Path]) -> None:
    corpus, out = run
    before = (out / "model" / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(UsageError, match="has done 6 steps, more than the 4 asked for"):
        train("kmlm", corpus=corpus, out=out, config=SMALL, max_steps=4)
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == before


def flipped(whole: bytes) -> bytes:
    """The same length, with one bit of a number in the middle changed."""
    middle = len(whole) // 2 // 4 * 4 + 3
    return whole[:middle] + bytes([whole[middle] ^ 32]) + whole[middle + 1 :]


def halved(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


@pytest.mark.parametrize("damage", [flipped, halved])
@pytest.mark.parametrize("name", ["optimizer.pt", "state.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_checkpoint_is_named_and_without_it_the_run_goes_on(
    run: tuple[Path, Path], name: str, damage: Callable[[bytes], bytes]
) -> None:
    corpus, out = run
    newest = max((out / "checkpoints").iterdir())
    whole = (newest / name).read_bytes()
    (newest / name).write_bytes(damage(whole))
    with pytest.raises(InputError, match=newest.name):
        train("kmlm", corpus=corpus, out=out, config=SMALL)
    (newest / name).write_bytes(whole)
    train("kmlm", corpus=corpus, out=out, config=SMALL)


def test_a_file_of_another_checkpoint_is_refused_by_resume_and_by_evaluate(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    corpus, out = run
    *_, older, newest = sorted((out / "checkpoints").iterdir())
    mixed = tmp_path / "mixed" / "checkpoints"
    shutil.copytree(out, mixed.parent)
    shutil.copyfile(older / "model.safetensors", mixed / newest.name / "model.safetensors")
    with pytest.raises(
        InputError, match=rf"{newest.name}: cannot be read .*model\.safetensors are not those"
    ):
        train("kmlm", corpus=corpus, out=mixed.parent, config=SMALL)
    command = [sys.executable, "-m", "kgcorpus", "evaluate", "cycles", "--data", str(corpus)]
    for model in (mixed, mixed / newest.name):
        asked = [*command, "--model", str(model), "--out", str(tmp_path / "found.json")]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert "is damaged (the bytes of model.safetensors" in done.stderr


def test_a_checkpoint_under_the_name_of_another_step_is_refused(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    corpus, out = run
    shutil.copytree(out, tmp_path / "run")
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    newest.rename(newest.with_name("step-00000099"))
    with pytest.raises(InputError, match=r"step-00000099: cannot be read .*is of step 6"):
        train("kmlm", corpus=corpus, out=tmp_path / "run", config=SMALL)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, "'step'"),
        ({"step": 6}, "'objective'"),
        ({"step": 6, "objective": {}}, "'plain'"),
        ({"step": 6, "objective": {"plain": {"epoch": 0, "group": 99, "record": 0}}}, "no row group 99"),
        ({"step": 6, "objective": {"plain": {"epoch": 0, "group": 0, "record": 999999}}}, "no record 999999"),
    ],
)
def test_a_state_of_another_shape_is_named(
    run: tuple[Path, Path], state: dict[str, object], said: str
) -> None:
    corpus, out = run
    newest = max((out / "checkpoints").iterdir())
    whole = (newest / "state.json").read_bytes()
    (newest / "state.json").unlink()
    seal(newest, state)
    with pytest.raises(InputError, match=f"step-00000006: cannot be read.*{said}"):
        train("kmlm", corpus=corpus, out=out, config=SMALL)
    (newest / "state.json").write_bytes(whole)


@pytest.mark.parametrize("text", ["[]", "{}", "x", "[" * 100_000])
def test_a_state_that_is_none_is_named(run: tuple[Path, Path], text: str) -> None:
    corpus, out = run
    state = max((out / "checkpoints").iterdir()) / "state.json"
    whole = state.read_text()
    state.write_text(text)
    with pytest.raises(InputError, match="step-00000006: cannot be read"):
        train("kmlm", corpus=corpus, out=out, config=SMALL)
    state.write_text(whole)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.json", "[]", r"run\.json: is not what a run was started with"),
        ("metrics.jsonl", "x\n", r"metrics\.jsonl, line 1: is not a line of metrics"),
        ("metrics.jsonl", '{"loss": 1}\n', r"metrics\.jsonl, line 1: is not a line of metrics"),
        ("tokenizer/tokenizer.json", "x", "tokenizer: cannot be read"),
        ("tokenizer/tokenizer.json", "{}", "tokenizer: cannot be read"),
        ("tokenizer/tokenizer.json", None, "tokenizer: cannot be read"),
        ("tokenizer/tokenizer_config.json", None, "tokenizer: cannot be read"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(
    run: tuple[Path, Path], name: str, text: str | None, said: str
) -> None:
    corpus, out = run
    whole = (out / name).read_bytes()
    if text is None:
        (out / name).unlink()
    else:
        (out / name).write_text(text)
    with pytest.raises(InputError, match=said):
        train("kmlm", corpus=corpus, out=out, config=SMALL)
    (out / name).write_bytes(whole)


@pytest.mark.parametrize(
    "name",
    [
        "model/mine",
        "best/mine",
        "tokenizer/mine",
        "checkpoints/mine",
        "metrics.jsonl",
        "routes.jsonl",
        "triples",
    ],
)
@pytest.mark.parametrize("remote", [False, True], ids=["near", "far"])
def test_a_folder_that_no_run_made_is_left_alone(
    run: tuple[Path, Path], tmp_path: Path, name: str, remote: bool
) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text('{"step": 9}\n')
    corpus = f"file://{run[0]}" if remote else run[0]
    with pytest.raises(UsageError, match=f"holds {name.partition('/')[0]} but no run.json"):
        train("kmlm", corpus=corpus, out=tmp_path, config=SMALL)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"] == [mine]
    assert mine.read_text() == '{"step": 9}\n'


def test_files_beside_a_written_folder_stay_but_for_what_a_kill_left(tmp_path: Path) -> None:
    target = tmp_path / "model"
    mine = [".model.bak", ".model.notes.tmp", ".models.1-0123abcd.tmp", ".tokenizer.1-0123abcd.tmp"]
    for name in (*mine, ".model.old", ".model.1-0123abcd.tmp"):
        (tmp_path / name).mkdir()
    write_folder(target, lambda folder: (folder / "x").touch())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, "model"])
