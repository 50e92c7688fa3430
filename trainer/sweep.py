"""`kgcorpus sweep`: trains and scores a grid of runs, and tabulates the results."""

import copy
import itertools
import json
import logging
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Field, JsonValue, field_validator, model_validator

from kgcorpus.config import LocalPlace, Section, put, validated
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.store import write_text
from kgcorpus.report.markdown import markdown_table
from trainer.config import TrainingConfig
from trainer.digests import digest_of_data, digest_of_model
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.registry import BENCHMARKS
from trainer.metrics_log import read_metrics
from trainer.run import train

# Of the shortest run's time: where series of checkpoints are compared.
_SHARES = (0.25, 0.5, 0.75, 1.0)
_log = logging.getLogger(__name__)
Settings: TypeAlias = dict[str, JsonValue]


class ScoreConfig(Section):
    """A benchmark that every run is asked."""

    benchmark: str = Field(description="a name of `kgcorpus evaluate`")
    name: str | None = Field(None, description="of its columns and files; null: the benchmark's")
    data: LocalPlace | None = Field(
        None, description="its data; null: the corpus, which is a folder then and no URL"
    )
    report: tuple[str, ...] = Field(min_length=1, description="numbers of its result, as dotted keys")
    series: bool = Field(False, description="ask every checkpoint that is kept, not only the last model")
    settings: EvaluationConfig = Field(default_factory=EvaluationConfig, description="how it is asked")

    @property
    def title(self) -> str:
        """Of its columns and files."""
        return self.name or (f"{self.benchmark}-series" if self.series else self.benchmark)

    @field_validator("benchmark")
    @classmethod
    def _exists(cls, benchmark: str) -> str:
        names = sorted(name for name, known in BENCHMARKS.items() if known.needs_model)
        if benchmark not in names:
            raise ValueError(f"no benchmark is called {benchmark!r}; there are {', '.join(names)}")
        return benchmark


class SweepConfig(Section):
    """The grid of `kgcorpus sweep`: arms x values x seeds."""

    objective: str = Field(description="a name that `kgcorpus train --help` lists")
    max_steps: int | None = Field(None, gt=0, description="steps of every run; null: those of its schedule")
    arms: dict[str, Settings] = Field(min_length=1, description="name -> its settings, by dotted key")
    vary: dict[str, Annotated[list[JsonValue], Field(min_length=1)]] = Field(
        default_factory=dict, description="dotted key -> the values that each arm is run with"
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="a run each")
    scores: tuple[ScoreConfig, ...] = Field((), description="what every run is asked")

    @model_validator(mode="after")
    def _names_differ(self) -> "SweepConfig":
        titles = [score.title for score in self.scores]
        if len(set(titles)) < len(titles):
            raise ValueError("two scores have the same files: give each of them a `name`")
        if "seed" in self.vary or any("seed" in arm for arm in self.arms.values()):
            raise ValueError("seeds are named in `seeds`, not in `arms` or `vary`")
        return self

    def cells(self, shared: Mapping[str, Any]) -> list["Cell"]:
        """Every run, all of a seed before those of the next.

        Args:
            shared: settings of every run; those of the grid win over them.

        Raises:
            UsageError: a setting that `train` does not have, or two runs of one name.
        """
        cells = [
            self._cell(shared, arm, dict(zip(self.vary, values, strict=True)), seed)
            for seed in self.seeds
            for arm in self.arms
            for values in itertools.product(*self.vary.values())
        ]
        for folder, times in Counter(cell.folder for cell in cells).items():
            if times > 1:
                raise UsageError(
                    f"{times} runs would share the folder {folder}",
                    where="the grid",
                    hint="Name each seed and value once, and arms that differ in letters or digits",
                )
        return cells

    def _cell(self, shared: Mapping[str, Any], arm: str, varied: Settings, seed: int) -> "Cell":
        name = ", ".join([arm, *(f"{key.rpartition('.')[2]} {value}" for key, value in varied.items())])
        settings = copy.deepcopy(dict(shared))
        for key, value in {**self.arms[arm], **varied, "seed": seed}.items():
            put(settings, key, value, where=f"arm {name}")
        return Cell(name, seed, validated(TrainingConfig, settings, where=f"arm {name}"))


@dataclass(frozen=True)
class Cell:
    """A run of the grid; those of one name differ by their seed only."""

    name: str
    seed: int
    training: TrainingConfig

    @property
    def folder(self) -> str:
        """Of the run."""
        kept = "".join(c if c.isalnum() or c in ".-_" else "-" for c in self.name.replace(", ", "__"))
        return f"{kept}__seed-{self.seed}"


def run_sweep(
    config: SweepConfig, *, corpus: str, out: Path, shared: Mapping[str, Any] | None = None
) -> Path:
    """Train and score what is missing, then write OUT/sweep.json and OUT/sweep.md.

    A run in OUT is resumed, and one that has ended is not trained again. A score is kept as long as its
    settings, the model and the benchmark's data have the same content. So arms, values, seeds and scores can
    be added to a finished sweep.

    Args:
        config: the grid.
        corpus: a build's folder, or the URL of a published one; then every score has data of its own.
        out: a folder for the runs.
        shared: settings of every run, as `kgcorpus train` reads them.

    Returns:
        OUT/sweep.md.

    Raises:
        UsageError: no such setting, a score to be asked of a URL, a folder that holds another run or that a
            build deletes, or a result without such a number.
    """
    refuse_replaced(out)
    asked = [score.title for score in config.scores if score.data is None]
    if asked and is_remote(corpus):
        raise UsageError(
            f"the scores {', '.join(asked)} have no data of their own, and ask a corpus in a folder only",
            where=corpus,
            hint="Name a build's folder as their `data`, or as --corpus",
        )
    validated(TrainingConfig, shared or {}, where="the settings of every run")
    cells, found = config.cells(shared or {}), []
    for i, cell in enumerate(cells):
        run = out / cell.folder
        refuse_links(out, cell.folder, enter=False)
        _log.info("%d of %d: %s", i + 1, len(cells), run)
        train(config.objective, corpus=corpus, out=run, config=cell.training, max_steps=config.max_steps)
        results = [_score(score, run, corpus) for score in config.scores]
        found.append(_found(cell, config, run, results))
        write_text(out / "sweep.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "sweep.md", "\n\n".join(tables(found)) + "\n")
    return out / "sweep.md"


def _score(score: ScoreConfig, run: Path, corpus: str) -> dict[str, Any]:
    """The result of a benchmark; from its file if model, data and settings have not changed since."""
    data = score.data or corpus
    model = run / ("checkpoints" if score.series else "model")
    scored = sorted(model.glob("step-*")) or [model]
    asked = redact_all(
        {
            "settings": score.settings.model_dump(mode="json"),
            "data": data,
            "data_digest": digest_of_data(data),
            "models": {folder.name: digest_of_model(str(folder)) for folder in scored},
        }
    )
    result, request = run / f"{score.title}.json", run / f"{score.title}.asked.json"
    found = _read_object(result) if _read_object(request) == asked else None
    if found is None:
        run_benchmark(score.benchmark, model=str(model), data=data, out=result, config=score.settings)
        write_text(request, json.dumps(asked) + "\n")
        found = json.loads(result.read_bytes())
    return found


def _read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is none or it is damaged."""
    try:
        found = parse_json(path.read_bytes()) if path.is_file() else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _found(
    cell: Cell, config: SweepConfig, run: Path, results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    lines = [line for line in read_metrics(run / "metrics.jsonl") if "loss" in line]
    last = lines[-max(1, len(lines) // 10) :]
    series = []
    scores: dict[str, float] = {}
    for score, result in zip(config.scores, results, strict=True):
        points = result["series"] if score.series else [result]
        for key in score.report:
            name = f"{score.title} {key}"
            scores[name] = _number(points[-1], key, benchmark=score.benchmark)
            if score.series:
                values = [(p["seconds"], _number(p, key, benchmark=score.benchmark)) for p in points]
                series.append({"score": name, "points": values})
    return {
        "name": cell.name,
        "seed": cell.seed,
        "training": redact_all(cell.training.model_dump(mode="json")),
        "steps": len(lines),
        "seconds": sum(line["seconds"] for line in lines),
        "loss": statistics.fmean(line["loss"] for line in last),
        "scores": scores,
        "series": series,
    }


def _number(result: Mapping[str, Any], key: str, *, benchmark: str) -> float:
    value: Any = result
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError(
            f"the result of {benchmark} has no number {key!r}",
            where="scores.report",
            hint=f"It has: {', '.join(sorted(_numbers(result)))}",
        )
    return float(value)


def _numbers(result: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in result.items():
        if isinstance(value, Mapping) and key != "config":
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key


def tables(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown: means over seeds with the sample deviation; then the series at matched times."""
    names = list(dict.fromkeys(cell["name"] for cell in found))
    of = {name: [cell for cell in found if cell["name"] == name] for name in names}
    scores = list(dict.fromkeys(score for cell in found for score in cell["scores"]))
    head = ["run", "seeds", "steps", "seconds", "loss, last tenth", *scores]
    rows = [
        [
            name,
            str(len(cells)),
            str(cells[0]["steps"]),
            _mean([cell["seconds"] for cell in cells], digits=1),
            _mean([cell["loss"] for cell in cells]),
            *(
                _mean([cell["scores"][score] for cell in cells if score in cell["scores"]])
                for score in scores
            ),
        ]
        for name, cells in of.items()
    ]
    shortest = min(cell["seconds"] for cell in found)
    times = [shortest * share for share in _SHARES]
    followed = list(dict.fromkeys(line["score"] for cell in found for line in cell["series"]))
    return [markdown_table(head, rows, numbers=len(head) - 1)] + [
        f"{score}, of the newest checkpoint after so many seconds:\n\n"
        + markdown_table(
            ["run", *(f"{seconds:.0f}" for seconds in times)],
            [
                [name, *(_mean(_until(cells, score, seconds)) for seconds in times)]
                for name, cells in of.items()
            ],
            numbers=len(times),
        )
        for score in followed
    ]


def _until(cells: Sequence[Mapping[str, Any]], score: str, seconds: float) -> list[float]:
    """Each run's value at that time; nothing while one of them has no checkpoint."""
    lines = [line["points"] for cell in cells for line in cell["series"] if line["score"] == score]
    # A sum of steps need not end on the last bit.
    reached = [[value for at, value in points if at <= seconds * (1 + 1e-9)] for points in lines]
    return [values[-1] for values in reached] if all(reached) else []


def _mean(values: Sequence[float], *, digits: int = 4) -> str:
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}"
