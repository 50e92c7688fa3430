"""Evaluation: the call that runs a benchmark of `trainer.evaluate.registry`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import UsageError, known_names
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.store import write_text
from kgcorpus.report.progress import Progress
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.prompt_counter import prompt_counter
from trainer.evaluate.registry import BENCHMARKS
from trainer.metrics_log import read_metrics


def require_benchmark(name: str) -> None:
    """Check that a benchmark has this name.

    Raises:
        UsageError: none has; the error lists all names.
    """
    if name not in BENCHMARKS:
        hint = known_names(name, sorted(BENCHMARKS), listed="There are")
        raise UsageError(f"no benchmark is called {name!r}", hint=hint)


def run_benchmark(
    benchmark: str, *, model: str, data: str, out: Path, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Run a benchmark, write its result as JSON and return it.

    Args:
        benchmark: its name.
        model: a model's folder or hub id, or the folder of a run's checkpoints: then the result is a
            `series` of one result for each, with its `step` and the `seconds` that training took up to it.
        data: the benchmark's data.
        out: the file to write.
        config: how it is done.

    Raises:
        UsageError: there is no such benchmark, it scores no model, or `out` is a file of a build or a run.
        InputError: the data is neither a folder nor a regular file.
    """
    require_benchmark(benchmark)
    if not BENCHMARKS[benchmark].needs_model:
        raise UsageError(
            f"{benchmark} scores the linker of a build, not a model",
            hint=f"Run kgcorpus evaluate {benchmark} --corpus OUT",
        )
    if not Path(data).is_dir():
        require_regular_file(data)
    refuse_replaced(out)
    run = _opened(benchmark, config or EvaluationConfig())
    checkpoints = sorted(Path(model).glob("step-*"))
    found = (
        {"series": _series(checkpoints, lambda folder: run(folder, data))}
        if checkpoints
        else run(model, data)
    )
    result: dict[str, Any] = redact_all({"benchmark": benchmark, **found})
    write_text(out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def _opened(benchmark: str, config: EvaluationConfig) -> Callable[[str, str], dict[str, Any]]:
    def run(model: str, data: str) -> dict[str, Any]:
        prompt_counter.restart()
        with (
            Progress(f"evaluate {benchmark}") as progress,
            progress.work(counts=prompt_counter.counts, unit="prompts"),
        ):
            found = BENCHMARKS[benchmark].load()(model, data, config)
        return {"config": config.model_dump(mode="json"), **found}

    return run


def _series(checkpoints: list[Path], score: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Score over wall time: that of all steps up to each checkpoint, whatever they spent it on."""
    steps = [line for line in read_metrics(checkpoints[0].parents[1] / "metrics.jsonl") if "loss" in line]
    series = []
    for folder in checkpoints:
        step = int(folder.name.removeprefix("step-"))
        seconds = sum(line["seconds"] for line in steps if line["step"] <= step)
        series.append({"step": step, "seconds": seconds, **score(str(folder))})
    return series
