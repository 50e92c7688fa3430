"""`build`, `train` and `evaluate` for Python code; same results as the commands of these names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgcorpus.config import BuildConfig, Source, load
from kgcorpus.contracts.own_packages import require_own_package
from kgcorpus.contracts.remote import build_place, require_local_path, require_nonempty
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
        config: a YAML file, a mapping with the same keys, or a `BuildConfig`; None for the embedded world.
        out: folder of the build, or a URL of an object store.
        targets: tables or shard configs to build, including everything they need; default: all tables whose
            inputs are configured.
        overrides: `a.b=value` settings that replace those of `config`; values are YAML.
        force: rebuild the targets even if they are up to date.

    Raises:
        UsageError: the configuration is wrong, or a target does not exist.
        InputError: an input is missing or malformed.
        EnvironmentLacksError: a package or Java is missing.
    """
    require_own_package("pipelines")
    from pipelines.build_folders import build_folder
    from pipelines.runner import build as run

    folder = build_folder(build_place(out))
    run(build_config(config, folder.path, overrides), folder, targets=targets, force=force)
    return Corpus.open(folder.place)


def train(
    objective: str,
    corpus: Corpus | str | Path,
    out: str | Path,
    *,
    config: Source = None,
    overrides: Sequence[str] = (),
    max_steps: int | None = None,
) -> Path:
    """Train a model on a build's shards, or resume the run in `out`.

    Args:
        objective: its name, as `kgcorpus train --help` lists them.
        corpus: a build, its folder, or the URL of a published build.
        out: folder of the run, or a URL of an object store.
        config: a YAML file, a mapping with the same keys, or a `trainer.config.TrainingConfig`.
        overrides: `a.b=value` settings that replace those of `config`.
        max_steps: stop after exactly this step.

    Returns:
        The folder RUN/model, which `transformers` can load.

    Raises:
        UsageError: the configuration is wrong, or `out` contains another run.
        InputError: the build is not finished, or has no records for the objective.
    """
    require_own_package("trainer")
    from trainer.config import TrainingConfig
    from trainer.run import train as run

    source = corpus.path if isinstance(corpus, Corpus) else require_nonempty(str(corpus))
    resolved = load(TrainingConfig, config, overrides=overrides)
    return run(objective, corpus=str(source), out=build_place(out), config=resolved, max_steps=max_steps)


def evaluate(
    benchmark: str,
    *,
    model: str | Path,
    data: Corpus | str | Path,
    out: str | Path,
    config: Source = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate a model, write the result to `out` as the command does, and return it.

    Args:
        benchmark: a name that `kgcorpus evaluate` lists.
        model: RUN/model, a checkpoint, or RUN/checkpoints for all checkpoints.
        data: the benchmark's data, or a build.
        out: the JSON file to write.
        config: a YAML file, a mapping with the same keys, or a `trainer.evaluate.config.EvaluationConfig`.
        overrides: `a.b=value` settings that replace those of `config`.

    Raises:
        UsageError: the benchmark does not exist, or the configuration is wrong.
        InputError: the data or the model cannot be read.
    """
    require_own_package("trainer")
    from trainer.evaluate import run_benchmark
    from trainer.evaluate.config import EvaluationConfig

    source = data.path if isinstance(data, Corpus) else require_local_path(data)
    resolved = load(EvaluationConfig, config, overrides=overrides)
    file = require_local_path(out)
    run_benchmark(benchmark, model=str(model), data=str(source), out=file, config=resolved)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def build_config(config: Source, out: Path, overrides: Sequence[str] = ()) -> BuildConfig:
    """Load a build's configuration; None for the embedded world, whose dumps are written below `out`.

    Raises:
        UsageError: the file is unreadable, or has an unknown key or an invalid value.
    """
    if config is not None:
        return load(BuildConfig, config, overrides=overrides)
    from kgcorpus.demo.embedded import demo_config

    require_own_package("pipelines")
    from pipelines.cleanup import check_folder

    # Before the world's dumps are written there.
    check_folder(out, ())
    path, variables = demo_config(out)
    return load(BuildConfig, path, overrides=overrides, variables=variables)
