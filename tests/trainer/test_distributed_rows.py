"""Rows held by several processes come to each of them as from one table."""

import os
import subprocess
import sys

import pytest
import torch

from trainer.distributed_rows import DistributedRows


def test_one_process_holds_all():
    table = torch.arange(12.0).reshape(6, 2)
    shard = DistributedRows(6)
    assert shard.rows == 6
    ids = torch.tensor([5, 0, 5])
    assert torch.equal(shard.read(ids, lambda places: table[places]), table[ids])
    assert shard.collect(table) is table
    assert torch.equal(shard.part(table), table)


CODE = """
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
import trainer.distributed_rows as sharded

sharded._ROWS_A_MESSAGE = 6
ranks = Accelerator(cpu=True)
rank, world = ranks.process_index, ranks.num_processes
for count in (1, 5, 9, 12):
    whole = torch.arange(count * 3.0).reshape(count, 3) + 1
    shard = sharded.DistributedRows(count, ranks)
    part = shard.part(whole)
    assert part.shape == (shard.rows, 3) and shard.rows == -(-count // world)
    # No rank asks for as many, and one for none.
    for ids in (torch.arange(rank * 4) % count, torch.zeros(0, dtype=torch.int64)):
        found = shard.read(ids, lambda places: part[places])
        assert torch.equal(found, whole[ids]), (count, rank, found)
    here, places = shard.own(torch.arange(count))
    assert torch.equal(part[places], whole[here])
    for dtype in (torch.float32, torch.bfloat16, torch.int64):
        collected = shard.collect(part.to(dtype))
        assert collected.dtype == dtype
        assert torch.equal(collected, whole.to(dtype)) if rank == 0 else len(collected) == 0
(Path(sys.argv[1]) / f"{rank}-of-{world}").touch()
# None leaves while another still speaks to it.
ranks.wait_for_everyone()
ranks.end_training()
"""


@pytest.mark.parametrize("world", [3])
def test_several_processes_read_and_collect_one_table(tmp_path, world):
    (tmp_path / "ranks.py").write_text(CODE)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, str(tmp_path / "ranks.py"), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*-of-*")} == {f"{rank}-of-{world}" for rank in range(world)}
