"""Evaluation: the registry of benchmarks, and the call that runs one."""

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
    "cycles": "trainer.kmlm.evaluate.cycles:evaluate_cycles",
    "cka": "trainer.trelm.evaluate.cka:evaluate_cka",
    "link-prediction": "trainer.transe.evaluate:evaluate_link_prediction",
    "xlr": "trainer.kmlm.evaluate.xlr:evaluate_xlr",
    "xlr-zero-shot": "trainer.kmlm.evaluate.xlr_zero_shot:evaluate_zero_shot",
    "relx": "trainer.evaluate.fine_tuning.relx:evaluate_relx",
    "ner": "trainer.evaluate.fine_tuning.ner:evaluate_ner",
    "pos": "trainer.evaluate.fine_tuning.pos:evaluate_pos",
    "xnli": "trainer.evaluate.fine_tuning.sentence_pairs:xnli",
    "paws-x": "trainer.evaluate.fine_tuning.sentence_pairs:paws_x",
    "xquad": "trainer.evaluate.fine_tuning.question_answering:xquad",
    "mlqa": "trainer.evaluate.fine_tuning.question_answering:mlqa",
    "tydiqa": "trainer.evaluate.fine_tuning.question_answering:tydiqa",
    "glue": "trainer.evaluate.fine_tuning.glue:evaluate_glue",
    "fewrel": "trainer.evaluate.fine_tuning.fewrel:evaluate_fewrel",
    "fewrel-pair": "trainer.jaket.evaluate.fewrel_pair:evaluate_fewrel_pair",
    "metaqa": "trainer.jaket.evaluate.metaqa:evaluate_metaqa",
    "tacred": "trainer.evaluate.fine_tuning.tacred:evaluate_tacred",
    "jaket-entities": "trainer.jaket.evaluate.entity_classification:evaluate_entities",
    "jaket-memory": "trainer.jaket.evaluate.memory:evaluate_memory",
    "open-entity": "trainer.evaluate.fine_tuning.open_entity:evaluate_open_entity",
    "lama": "trainer.evaluate.probe.lama:evaluate_lama",
    "lama-uhn": "trainer.evaluate.probe.lama:evaluate_lama_uhn",
    "xfactr": "trainer.evaluate.probe.xfactr:evaluate_xfactr",
    "mlama": "trainer.evaluate.probe.mlama:evaluate_mlama",
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
