"""The commands of docs/gpus.md start two processes that train one run."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.trainer.toy import rows_of, write_corpus
from trainer.metrics_log import read_metrics

PAGE = Path(__file__).parents[2] / "docs" / "gpus.md"
# Two nodes of one process: `srun` runs its command on each, `scontrol` names the first.
SLURM = {
    "srun": """#!/bin/bash
for SLURM_NODEID in 0 1; do SLURM_NODEID=$SLURM_NODEID "$@" & nodes="$nodes $!"; done
for node in $nodes; do wait $node || exit 1; done
""",
    "scontrol": "#!/bin/bash\necho localhost\n",
    "torchrun": f'#!/bin/bash\nexec {sys.executable} -m torch.distributed.run "$@"\n',
}


def command_of(start):
    (found,) = [
        block
        for block in re.findall(
            r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        if block.startswith(start)
    ]
    return found


def replaced(text, old, new):
    assert old in text, (old, text)
    return text.replace(old, str(new))


@pytest.mark.slow
@pytest.mark.parametrize(("start", "nodes"), [("torchrun", 1), ("#!/bin/bash", 2)], ids=["torchrun", "slurm"])
def test_the_documented_command_trains_with_two_processes(tmp_path, start, nodes):
    corpus = write_corpus(tmp_path / "corpus", {"plain_text": rows_of(30)["plain_text"]})
    settings = {
        "model": {"hidden": 16, "layers": 1, "heads": 2, "vocab_size": 400},
        "records_per_step": 4,
        "schedule_steps": 2,
        "kmlm": {"streams": ["plain"]},
        "sharding": "fsdp",
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "bin").mkdir()
    for name, code in SLURM.items():
        (tmp_path / "bin" / name).write_text(code)
        (tmp_path / "bin" / name).chmod(0o755)
    command = replaced(command_of(start), "--nproc-per-node=8", f"--nproc-per-node={2 // nodes}")
    command = re.sub(r"--config \S+", f"--config {tmp_path / 'small.yaml'}", command)
    out = tmp_path / "run"
    if nodes == 1:
        command = replaced(command, "--corpus OUT --out RUN", f"--corpus {corpus} --out {out}")
        command = replaced(command, "torchrun", "torchrun --standalone")
    else:
        command = replaced(command, "/shared/OUT", corpus).replace("/shared/RUN", str(out))
        with socket.socket() as free:
            free.bind(("localhost", 0))
            command = replaced(command, "29500", free.getsockname()[1])
    script = tmp_path / "job.sh"
    script.write_text(command)
    done = subprocess.run(
        ["bash", str(script)],
        env={
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "SLURM_NNODES": "2",
            "SLURM_JOB_NODELIST": "localhost",
            "ACCELERATE_USE_CPU": "1",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in read_metrics(out / "metrics.jsonl")] == [1, 2]
    assert (out / "model" / "model.safetensors").exists()
    # Both have written their part.
    assert {path.name[:4] for path in (out / "checkpoints").rglob("*.distcp")} == {"__0_", "__1_"}
