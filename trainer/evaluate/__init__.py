"""Benchmarks, one file each, behind one call."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import UsageError, known_names
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.store import write_text
from trainer.evaluate.config import EvaluationConfig
from trainer.metrics import read_metrics

# Name -> module and function (model, data, config) -> result; imported when asked for: torch is slow to load.
BENCHMARKS = {
    "cycles": "trainer.evaluate.builds.cycles:benchmark",
    "cka": "trainer.trelm.evaluate.cka:benchmark",
    "link-prediction": "trainer.transe.evaluate:benchmark",
    "xlr": "trainer.evaluate.builds.xlr:evaluate",
    "xlr-zero-shot": "trainer.evaluate.builds.xlr_zero_shot:evaluate",
    "relx": "trainer.evaluate.tuned.relx:evaluate",
    "ner": "trainer.evaluate.tuned.ner:evaluate",
    "pos": "trainer.evaluate.tuned.pos:evaluate",
    "xnli": "trainer.evaluate.tuned.pairs:xnli",
    "paws-x": "trainer.evaluate.tuned.pairs:paws_x",
    "xquad": "trainer.evaluate.tuned.qa:xquad",
    "mlqa": "trainer.evaluate.tuned.qa:mlqa",
    "tydiqa": "trainer.evaluate.tuned.qa:tydiqa",
    "glue": "trainer.evaluate.tuned.glue:evaluate",
    "fewrel": "trainer.evaluate.tuned.fewrel_relations:evaluate",
    "fewrel-pair": "trainer.jaket.evaluate.fewrel_pair:evaluate",
    "metaqa": "trainer.jaket.evaluate.metaqa:evaluate",
    "tacred": "trainer.evaluate.tuned.tacred:evaluate",
    "jaket-entities": "trainer.jaket.evaluate.entity_classification:evaluate",
    "jaket-memory": "trainer.jaket.evaluate.memory:evaluate",
    "open-entity": "trainer.evaluate.tuned.open_entity:evaluate",
    "lama": "trainer.evaluate.probe.lama:evaluate",
    "lama-uhn": "trainer.evaluate.probe.lama_uhn:evaluate",
    "xfactr": "trainer.evaluate.probe.xfactr:evaluate",
    "mlama": "trainer.evaluate.probe.mlama:evaluate",
}

# With the one that needs no model: it scores a build's linker (`kgcorpus.linking.evaluate`).
NAMES = sorted([*BENCHMARKS, "linking"])


def require_benchmark(name: str) -> None:
    """Check that a benchmark has this name.

    Raises:
        UsageError: none has; the error lists all names.
    """
    if name not in NAMES:
        hint = known_names(name, NAMES, listed="There are")
        raise UsageError(f"no benchmark is called {name!r}", mend=hint)


def evaluate(
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
        UsageError: there is no such benchmark, or `out` is a file of a build or a run.
        InputError: the data is neither a folder nor a regular file.
    """
    require_benchmark(benchmark)
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
