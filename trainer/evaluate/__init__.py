"""Benchmarks, one file each, behind one call."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.store import write_text
from trainer.evaluate.config import EvaluationConfig
from trainer.metrics import read_metrics

# Name -> module and function (model, data, config) -> result; imported when asked for: torch is slow to load.
BENCHMARKS = {
    "cycles": "trainer.evaluate.cycles:benchmark",
    "cka": "trainer.evaluate.cka:benchmark",
    "link-prediction": "trainer.kge.evaluate:benchmark",
    "xlr": "trainer.evaluate.xlr:evaluate",
    "xlr-zero-shot": "trainer.evaluate.xlr_zero_shot:evaluate",
    "relx": "trainer.evaluate.relx:evaluate",
    "ner": "trainer.evaluate.ner:evaluate",
    "pos": "trainer.evaluate.pos:evaluate",
    "xnli": "trainer.evaluate.pairs:xnli",
    "paws-x": "trainer.evaluate.pairs:paws_x",
    "xquad": "trainer.evaluate.qa:xquad",
    "mlqa": "trainer.evaluate.qa:mlqa",
    "tydiqa": "trainer.evaluate.qa:tydiqa",
    "glue": "trainer.evaluate.glue:evaluate",
    "fewrel": "trainer.evaluate.fewrel_relations:evaluate",
    "tacred": "trainer.evaluate.tacred:evaluate",
    "jaket-entities": "trainer.evaluate.entity_classification:evaluate",
    "jaket-memory": "trainer.evaluate.jaket_memory:evaluate",
    "open-entity": "trainer.evaluate.open_entity:evaluate",
    "lama": "trainer.evaluate.lama:evaluate",
    "lama-uhn": "trainer.evaluate.lama_uhn:evaluate",
    "xfactr": "trainer.evaluate.xfactr:evaluate",
    "mlama": "trainer.evaluate.mlama:evaluate",
}


def evaluate(
    benchmark: str, *, model: str, data: str, out: Path, config: EvaluationConfig | None = None
) -> None:
    """Run a benchmark and write its result as JSON.

    Args:
        benchmark: its name.
        model: a model's folder or hub id, or the folder of a run's checkpoints: then the result is a
            `series` of one result for each, with its `step` and the `seconds` that training took up to it.
        data: the benchmark's data.
        out: the file to write.
        config: how it is done.

    Raises:
        UsageError: there is no such benchmark.
    """
    if benchmark not in BENCHMARKS:
        names = ", ".join(sorted(BENCHMARKS))
        raise UsageError(f"no benchmark is called {benchmark!r}", mend=f"There are: {names}")
    run = _opened(benchmark, config or EvaluationConfig())
    checkpoints = sorted(Path(model).glob("step-*"))
    found = (
        {"series": _series(checkpoints, lambda folder: run(folder, data))}
        if checkpoints
        else run(model, data)
    )
    write_text(out, json.dumps({"benchmark": benchmark, **found}, indent=1, ensure_ascii=False) + "\n")


def _opened(benchmark: str, config: EvaluationConfig) -> Callable[[str, str], dict[str, Any]]:
    def run(model: str, data: str) -> dict[str, Any]:
        module, _, name = BENCHMARKS[benchmark].partition(":")
        found: dict[str, Any] = getattr(import_module(module), name)(model, data, config)
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
