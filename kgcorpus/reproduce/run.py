"""Runs a reproduction: the corpus, the grids of its experiments, and the tables."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.api import build
from kgcorpus.config import BuildConfig, load, settings
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.own_packages import require_own_package
from kgcorpus.contracts.store import write_text
from kgcorpus.reproduce.papers import Experiment, Paper, Scale, environment
from kgcorpus.reproduce.published import needed_file, needed_files

CORPUS = "corpus"


def reproduce(
    paper: Paper,
    out: Path,
    *,
    scale: Scale,
    table: str | None = None,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    spark: Sequence[str] = (),
) -> Path:
    """Build the corpus, train and score the grids, write the tables. The same call resumes after a kill.

    Args:
        paper: the paper.
        out: folder of the corpus, the runs and the tables.
        scale: one of the paper's scales.
        table: only the experiment with this table; None for all. Those whose evaluation data are missing are
            left out at the demo scale if not asked for.
        data: folder with dumps/, wikidata5m/, cc100/, metaqa/ and fewrel/; None: as the environment's
            variables say.
        overrides: `a.b=c` settings of every run, which win over those of the scale.
        spark: `spark.*=...` settings of the build.

    Returns:
        OUT/tables.md.

    Raises:
        UsageError: the paper has no such table, or a setting is wrong.
        InputError: an input or the evaluation data of a table are missing.
    """
    require_own_package("trainer")
    chosen = paper.chosen(table)
    # Before anything is built.
    for experiment in chosen:
        if (table or scale.corpus) and not _has_data(experiment, data):
            raise InputError(
                f"the folder {_data_folder(experiment, data)} does not exist",
                where=f"{paper.name} {experiment.name}",
                hint=f"Put {', '.join(experiment.files)} there, or name its parent with --data",
            )
    config = None if scale.corpus is None else load(BuildConfig, scale.corpus, variables=_variables(data))
    corpus = build(config, out / CORPUS, overrides=spark)
    shared = settings(scale.training, overrides=[*scale.settings, *overrides])
    parts = [f"# {paper.citation}, scale {scale.name}"]
    for experiment in chosen:
        sweep: list[dict[str, Any]] = []
        parts.append(f"## {experiment.title}")
        if not _has_data(experiment, data):
            folder = _data_folder(experiment, data)
            parts.append(f"Not run: the folder {folder.name} of evaluation data was not given (`--data`).")
            continue
        if experiment.grid is not None:
            sweep = _sweep(experiment, scale, out, corpus=corpus.path, data=data, shared=shared)
        parts.append(experiment.layout(corpus.report, sweep))
    parts.append(_differences(scale, overrides, corpus.report))
    write_text(out / "tables.md", "\n\n".join(parts) + "\n")
    return out / "tables.md"


def _sweep(
    experiment: Experiment,
    scale: Scale,
    out: Path,
    *,
    corpus: Path,
    data: Path | None,
    shared: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Train and score an experiment's grid as the scale says; return its sweep.json."""
    from trainer.evaluate.config import EvaluationConfig
    from trainer.sweep import SweepConfig, run_sweep

    variables = os.environ if data is None else environment(data.absolute())
    grid = load(SweepConfig, experiment.grid, variables={**variables, "CORPUS": str(corpus)})
    scores = tuple(
        score.model_copy(
            update={"settings": load(EvaluationConfig, score.settings, overrides=scale.evaluation)}
        )
        for score in grid.scores
        if not score.title.startswith(scale.left_out)
    )
    grid = grid.model_copy(update={"seeds": scale.seeds or grid.seeds, "scores": scores})
    folder = out / experiment.folder
    run_sweep(grid, corpus=str(corpus), out=folder, shared=shared)
    found: list[dict[str, Any]] = json.loads((folder / "sweep.json").read_bytes())
    return found


def _data_folder(experiment: Experiment, data: Path | None) -> Path:
    variables = os.environ if data is None else environment(data.absolute())
    return Path(variables.get(experiment.data.upper(), experiment.data))


def _has_data(experiment: Experiment, data: Path | None) -> bool:
    return not experiment.data or _data_folder(experiment, data).is_dir()


def plan_lines(
    paper: Paper, out: Path, *, scale: Scale, table: str | None, data: Path | None
) -> Iterator[str]:
    """Yield what `reproduce` would do and need: steps, commands, files and where they are published."""
    name = scale.corpus or "the embedded world"
    yield f"1. corpus: {name} -> {out / CORPUS}"
    number = 1
    for experiment in paper.chosen(table):
        number += 1
        yield f"{number}. {experiment.title}: {_work(experiment, scale)} -> {out / 'tables.md'}"
    yield from (f"differs: {text}" for text in scale.differences)
    yield from (f"time: {text}" for text in scale.time)
    if scale.disk:
        yield f"disk: {scale.disk}"
    files = [
        needed_file(str(_data_folder(experiment, data) / name))
        for experiment in paper.chosen(table)
        for name in experiment.files
    ]
    if scale.corpus is None:
        yield "corpus files: none, the embedded world comes with the package"
    else:
        files = [*needed_files(settings(scale.corpus, variables=_variables(data))), *files]
    for file in files:
        yield f"file: {file}"
    if scale.corpus is None and files:
        yield "a table whose evaluation files are missing is left out, unless it is asked for by name"
    base = settings(scale.training).get("base_model")
    if base:
        yield f"model: {base} https://huggingface.co/{base}"
    missing = sum(file.bytes is None for file in files)
    yield f"files: {len(files)}, missing: {missing}"


def _work(experiment: Experiment, scale: Scale) -> str:
    if experiment.grid is None:
        return "counts of the corpus"
    grid = settings(experiment.grid)
    seeds = list(scale.seeds or grid["seeds"])
    runs = len(grid["arms"]) * len(seeds) * math.prod(map(len, grid.get("vary", {}).values()))
    asked = [
        score["benchmark"]
        for score in grid["scores"]
        if not score.get("name", score["benchmark"]).startswith(scale.left_out)
    ]
    scores = ", ".join(f"{name} x {times}" if times > 1 else name for name, times in Counter(asked).items())
    shared = ", the same for all tables" if experiment.runs else ""
    return f"{runs} runs ({', '.join(grid['arms'])}; seeds {seeds}{shared}), scored by {scores}"


def _variables(data: Path | None) -> Mapping[str, str] | None:
    return None if data is None else environment(data.absolute())


def _differences(scale: Scale, overrides: Sequence[str], report: Mapping[str, Any]) -> str:
    tables = report["tables"]
    counts = ", ".join(
        f"{tables[name]['rows']:,} {name}" for name in ("entities", "triples", "pages") if name in tables
    )
    lines = [f"What differs from the paper: {'; '.join(scale.differences)}. The corpus has {counts}."]
    if overrides:
        lines.append(f"Settings of this call: {', '.join(overrides)}.")
    if scale.name == "demo":
        lines.append("Scores at this scale check the pipeline; they say nothing about the paper's scores.")
    lines.append("The scores that the paper prints are not part of this package; its sizes are.")
    return " ".join(lines)
