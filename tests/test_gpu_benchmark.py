"""benchmarks/gpu.py at tiny sizes on a CPU: every cell runs, and no fault of one ends the others."""

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def cells(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("gpu_cells")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("gpu")


def children_of(pid):
    command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (line.split(None, 1) for line in found.stdout.splitlines())
    return [int(child) for child, command in lines if "spawn_main" in command]


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_all_cells_run_and_a_killed_one_ends_no_other(tmp_path, cells):
    command = [
        sys.executable,
        str(BENCHMARKS / "gpu.py"),
        "--tiny",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    ]
    process = subprocess.Popen(
        [*command, "--seconds", "900"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    victim, lines = "TRELM dense, base, 30k, 256", []
    for line in process.stdout:
        lines.append(json.loads(line))
        if lines[-1].get("cell") == "Trainer base, 30k, 128":
            # The one that measures `victim` now.
            (worker,) = children_of(process.pid)
            os.kill(worker, signal.SIGKILL)
    assert process.wait() == 0
    found = {line["cell"]: line for line in lines[1:]}
    assert list(found) == [cell.name for cell in cells.CELLS]
    assert len(found) <= 24
    assert found.pop(victim)["reason"] == "the process ended with code -9"
    for name, line in found.items():
        assert line["status"] == "ok", line
        if name.startswith(("KMLM", "TRELM", "JAKET", "Trainer")):
            assert line["tokens_per_second"] > 0
            assert line["steps"] == cells.STEPS
            assert 0 <= line["data_share"] < 1
        if name.startswith("importance"):
            assert line["passages_per_second"] > 0
    page = (tmp_path / "gpu.md").read_text()
    assert f"Not measured: `{victim}`: error" in page
    assert "a smoke test, no measurement" in page
    ratios = json.loads((tmp_path / "gpu.json").read_text())["ratios"]
    assert len(ratios) == sum(cell.way == "Trainer" for cell in cells.CELLS)
    assert [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()] == lines


def test_cells_without_time_are_named(tmp_path, gpu, cells):
    lines = gpu.main(["--tiny", "--device", "cpu", "--seconds", "0", "--out", str(tmp_path)])
    assert [(line["cell"], line["status"]) for line in lines[1:]] == [
        (cell.name, "skipped") for cell in cells.CELLS
    ]
    assert "no time left" in (tmp_path / "gpu.md").read_text()
    # The tables of an earlier run are made from its lines.
    gpu.main(["--read", str(tmp_path / "gpu.jsonl"), "--out", str(tmp_path)])
    assert "no time left" in (tmp_path / "gpu.md").read_text()


@pytest.mark.parametrize("crosses", [False, True])
def test_attention_across_records_is_found_before_anything_is_timed(tmp_path, cells, monkeypatch, crosses):
    from trainer.attention import Records

    bench = cells.Bench(tmp_path, device="cpu", small=True)
    check, timed = (cells.tiny(cell) for cell in cells.CELLS[:2])
    with pytest.raises(RuntimeError, match="nothing is timed"):
        bench.measure(timed)
    if not crosses:
        assert (
            bench.measure(dataclasses.replace(check, records_per_forward=64))["gradient_difference_fp32"]
            < 1e-4
        )
        return
    whole = Records.of
    monkeypatch.setattr(Records, "of", lambda segments: whole((segments > 0).to(segments.dtype)))
    with pytest.raises(RuntimeError, match="packed and unpacked differ"):
        bench.measure(check)
    with pytest.raises(RuntimeError, match="nothing is timed"):
        bench.measure(timed)


def test_a_cell_leaves_the_precision_of_matrix_products_as_it_was(tmp_path, cells, monkeypatch):
    import torch

    bench = cells.Bench(tmp_path, device="cpu", small=True)

    def with_tf32(cell):
        torch.backends.fp32_precision = "tf32"
        return {}

    monkeypatch.setattr(bench, "_measure", with_tf32)
    before = torch.backends.fp32_precision
    bench.measure(cells.CELLS[0])
    assert torch.backends.fp32_precision == before != "tf32"
