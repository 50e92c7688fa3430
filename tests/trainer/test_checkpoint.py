"""Folders arrive whole, and a kill at any moment leaves the old one or the new one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError, UsageError
from tests.trainer.toy import rows_of, write_corpus
from trainer.checkpoint import settle, write_folder
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
    settle(model)
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


@pytest.mark.parametrize("name", ["optimizer.pt", "state.json", "model.safetensors"])
def test_a_damaged_checkpoint_is_named_and_without_it_the_run_goes_on(
    run: tuple[Path, Path], name: str
) -> None:
    corpus, out = run
    newest = max((out / "checkpoints").iterdir())
    whole = (newest / name).read_bytes()
    (newest / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=newest.name):
        train("kmlm", corpus=corpus, out=out, config=SMALL)
    (newest / name).write_bytes(whole)
    train("kmlm", corpus=corpus, out=out, config=SMALL)
