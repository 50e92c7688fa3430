"""Build, train and evaluate from Python, as the commands of the same names do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgcorpus.config import BuildConfig, Source, load
from kgcorpus.contracts.remote import given, given_path, local_folder
from kgcorpus.corpus import Corpus


def build(
    config: Source,
    out: str | Path,
    *,
    targets: Sequence[str] = (),
    overrides: Sequence[str] = (),
    force: bool = False,
) -> Corpus:
    """Bring the build in `out` up to date and open it.

    Args:
        config: a YAML file, a mapping of the same keys, or a `BuildConfig`; None: the embedded world.
        out: the build's folder.
        targets: tables or shard configs to build with all they need; default: all that the inputs allow.
        overrides: `a.b=value` over the configuration, the value in YAML.
        force: run the targets again though they are up to date.

    Raises:
        UsageError: a wrong configuration, or a target that does not exist.
        InputError: an input is missing or bad.
        EnvironmentLacksError: a package or Java is missing.
    """
    from pipelines.runner import build as run

    folder = local_folder(out)
    run(build_config(config, folder, overrides), folder, targets=targets, force=force)
    return Corpus.open(folder)


def train(
    objective: str,
    corpus: Corpus | str | Path,
    out: str | Path,
    *,
    config: Source = None,
    overrides: Sequence[str] = (),
    max_steps: int | None = None,
) -> Path:
    """Train a model on a build's shards; the same `out` resumes.

    Args:
        objective: kmlm, trelm, jaket or transe.
        corpus: a build, its folder, or the URL of a published one.
        out: the run's folder.
        config: a YAML file, a mapping of the same keys, or a `trainer.config.TrainingConfig`.
        overrides: `a.b=value` over the configuration.
        max_steps: end at exactly this step.

    Returns:
        RUN/model, which `transformers` opens.

    Raises:
        UsageError: a wrong configuration, or `out` belongs to another run.
        InputError: no finished build, or no records.
    """
    from trainer.config import TrainingConfig
    from trainer.run import train as run

    source = corpus.path if isinstance(corpus, Corpus) else given(str(corpus))
    resolved = load(TrainingConfig, config, overrides=overrides)
    return run(objective, corpus=str(source), out=local_folder(out), config=resolved, max_steps=max_steps)


def evaluate(
    benchmark: str,
    *,
    model: str | Path,
    data: Corpus | str | Path,
    out: str | Path,
    config: Source = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Score a model and return what the command writes to `out`.

    Args:
        benchmark: its name, as `kgcorpus evaluate` lists them.
        model: RUN/model, any checkpoint, or RUN/checkpoints for all of them.
        data: the benchmark's data, or a build.
        out: the JSON file to write.
        config: a YAML file, a mapping of the same keys, or a `trainer.evaluate.config.EvaluationConfig`.
        overrides: `a.b=value` over the configuration.

    Raises:
        UsageError: no such benchmark, or a wrong configuration.
        InputError: the data or the model cannot be read.
    """
    from trainer.evaluate import evaluate as run
    from trainer.evaluate.config import EvaluationConfig

    source = data.path if isinstance(data, Corpus) else given_path(data)
    resolved = load(EvaluationConfig, config, overrides=overrides)
    file = given_path(out)
    run(benchmark, model=str(model), data=str(source), out=file, config=resolved)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def build_config(config: Source, out: Path, overrides: Sequence[str] = ()) -> BuildConfig:
    """Return the build's configuration; None: that of the embedded world, whose dumps go below `out`.

    Raises:
        UsageError: an unreadable file, an unknown key, or a wrong value.
    """
    if config is not None:
        return load(BuildConfig, config, overrides=overrides)
    from kgcorpus.demo.embedded import demo_config
    from pipelines.sweep import check_folder

    # Before the world's dumps are written there.
    check_folder(out, ())
    path, variables = demo_config(out)
    return load(BuildConfig, path, overrides=overrides, variables=variables)
