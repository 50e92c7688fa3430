"""Two processes prepare a corpus together, for longer than their process group's timeout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kgcorpus.contracts.store import try_file_lock
from tests.trainer.toy import rows_of, write_corpus

TIMEOUT, SHARDS, SECONDS_A_SHARD = 10, 16, 1.5
CODE = f"""
import logging, os, sys, time
from datetime import timedelta
import torch.distributed
import kgcorpus.tokens as tokens
from trainer.config import ModelConfig, TrainingConfig
from trainer.kmlm.config import KmlmConfig
from trainer.run import train

tokenize_shard = tokens._tokenize_shard

def slowly(*arguments):
    time.sleep({SECONDS_A_SHARD})
    tokenize_shard(*arguments)

tokens._tokenize_shard = slowly
logging.basicConfig(level="INFO", format="rank " + os.environ["RANK"] + ": %(message)s")
torch.distributed.init_process_group("gloo", timeout=timedelta(seconds={TIMEOUT}))
config = TrainingConfig(
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=400),
    records_per_step=4,
    kmlm=KmlmConfig(streams=("plain",)),
)
train("kmlm", corpus=sys.argv[1], out=sys.argv[2], config=config, max_steps=1)
"""


@pytest.mark.slow
def test_two_ranks_share_the_tokenising_and_outlast_the_group_s_timeout(tmp_path: Path) -> None:
    rows = {"plain_text": rows_of(64)["plain_text"]}
    corpus = write_corpus(tmp_path / "corpus", rows, shards=SHARDS)
    (tmp_path / "train.py").write_text(CODE)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*launch, str(tmp_path / "train.py"), str(corpus), str(tmp_path / "run")],
        env={**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    taken = re.findall(r"rank (\d): tokenising (\S+) \(\d+ of 16\)", done.stderr)
    assert len({shard for _, shard in taken}) == len(taken) == SHARDS
    # One alone would need 24 seconds, the others' patience is 10.
    counts = [sum(rank == own for own, _ in taken) for rank in "01"]
    assert min(counts) >= SHARDS // 4, counts
    assert not list((corpus / "tokens").rglob("*.lock"))


def test_a_claim_is_free_again_once_its_owner_is_dead(tmp_path: Path) -> None:
    target = tmp_path / "file"
    code = "import sys, time; from pathlib import Path; from kgcorpus.contracts.store import try_file_lock\n"
    code += "with try_file_lock(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "True\n"
        with try_file_lock(target) as mine:
            assert not mine
        owner.kill()
        owner.wait()
    with try_file_lock(target) as mine:
        assert mine
    assert not list(tmp_path.iterdir())
