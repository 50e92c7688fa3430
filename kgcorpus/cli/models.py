"""Commands that train, score, convert and explain models."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from kgcorpus.cli.options import (
    CONFIG_HELP,
    Corpus,
    Quiet,
    Set,
    TrainingFile,
    Verbose,
    benchmarks,
    complete_benchmark,
    complete_objective,
)
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.own_packages import require_own_package
from kgcorpus.contracts.remote import (
    build_place,
    local_folder,
    model_place,
    require_local_path,
    require_nonempty,
)
from kgcorpus.report.terminal import say, say_lines, say_unless_quiet, set_verbosity, stderr, stdout


def train(
    objective: Annotated[str, typer.Argument(help="OBJECTIVES.", autocompletion=complete_objective)],
    corpus: Corpus,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            help="The run's folder, or its URL: s3://, gs://, abfs://. The same again resumes.",
            metavar="PATH",
            parser=build_place,
        ),
    ],
    config: TrainingFile = None,
    set_: Set = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="End at exactly this step.")
    ] = None,
    resume: Annotated[
        Literal["auto", "no"],
        typer.Option("--resume", help="auto: resume a run in the folder; no: refuse such a folder."),
    ] = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model on a build's shards."""
    set_verbosity(quiet=quiet, verbose=verbose)
    from kgcorpus.config import load

    require_own_package("trainer")
    from trainer.config import TrainingConfig
    from trainer.run import train as run

    resolved = load(TrainingConfig, config, overrides=set_ or [])
    run(objective, corpus=corpus, out=out, config=resolved, max_steps=max_steps, resume=resume)
    say_unless_quiet(f"checkpoint: {os.path.join(out, 'model')}")


def sweep(
    grid: Annotated[
        Path,
        typer.Argument(
            metavar="GRID.yaml", help="Arms, values, seeds, scores: conf/sweeps.", parser=require_local_path
        ),
    ],
    corpus: Corpus,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder of the runs; the same again continues.", metavar="PATH", parser=local_folder
        ),
    ],
    config: TrainingFile = None,
    set_: Set = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train and score a grid of runs, and set them side by side."""
    set_verbosity(quiet=quiet, verbose=verbose)
    from kgcorpus.config import load, settings

    require_own_package("trainer")
    from trainer.sweep import SweepConfig, run_sweep

    shared = settings(config, overrides=set_ or [])
    table = run_sweep(load(SweepConfig, grid), corpus=corpus, out=out, shared=shared)
    if not quiet:
        say_lines(table.read_text(encoding="utf-8"))
        say(f"sweep: {table}")


def _list_benchmarks(asked: bool) -> None:
    if asked:
        for one in sorted(benchmarks().values(), key=lambda one: one.name):
            say(f"{one.name:<16} {one.data}: {one.score}")
        raise typer.Exit


def evaluate(
    benchmark: Annotated[
        str,
        typer.Argument(
            help="BENCHMARKS.",
            autocompletion=complete_benchmark,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The JSON file to write.", metavar="PATH", parser=require_local_path)
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="RUN/model, any checkpoint, or RUN/checkpoints for all of them.",
            metavar="PATH",
            parser=require_local_path,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Its data; for xlr a build's folder; for linking gold texts or labelled places (.tsv), "
            "else links are hidden.",
            metavar="PATH",
            parser=require_local_path,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help=f"{CONFIG_HELP}.", metavar="PATH", parser=require_local_path),
    ] = None,
    set_: Set = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus", help="linking: a build's folder or URL.", metavar="PATH", parser=require_nonempty
        ),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option("--lang", help="linking: the texts' language; default: the build's base language."),
    ] = None,
    exclude_names: Annotated[
        Path | None,
        typer.Option(
            "--exclude-names",
            help="linking: a file of ids whose names are left out.",
            metavar="PATH",
            parser=require_local_path,
        ),
    ] = None,
    list_: Annotated[
        bool,
        typer.Option(
            "--list",
            help="List the benchmarks with their data and scores, and exit.",
            callback=_list_benchmarks,
            is_eager=True,
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score a model, or a build's linker; the result goes to --out, its scores to stderr."""
    from kgcorpus.report.model_card import RESULTS, add_results
    from kgcorpus.report.scores import summary

    set_verbosity(quiet=quiet, verbose=verbose)
    if benchmark == "linking":
        from kgcorpus.contracts.languages import base_language_of
        from kgcorpus.contracts.manifest import load_manifest
        from kgcorpus.linking.evaluate import evaluate_linking
        from kgcorpus.mirror import local_build

        if corpus is None:
            raise UsageError("evaluate linking needs --corpus, a build's folder")
        folder = local_build(corpus)
        load_manifest(folder, required=True)
        lang = lang or base_language_of(folder)
        found = evaluate_linking(
            folder, out=out, lang=lang, data=data, exclude_names=exclude_names, overrides=set_ or []
        )
        say_unless_quiet(summary(found), console=stderr)
        return
    from kgcorpus.config import load

    require_own_package("trainer")
    from trainer.evaluate import require_benchmark, run_benchmark
    from trainer.evaluate.config import EvaluationConfig

    require_benchmark(benchmark)
    if model is None or data is None:
        raise UsageError(f"evaluate {benchmark} needs --model and --data")
    resolved = load(EvaluationConfig, config, overrides=set_ or [])
    found = run_benchmark(benchmark, model=str(model), data=str(data), out=out, config=resolved)
    if out.resolve().parent == model.resolve().parent / RESULTS and add_results(model.resolve().parent):
        say_unless_quiet(f"card: {model / 'README.md'}", console=stderr)
    say_unless_quiet(summary(found), console=stderr)


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint's folder, with pytorch_model.bin or its index and parts.",
            metavar="SOURCE",
            parser=require_local_path,
        ),
    ],
    to: Annotated[
        Path,
        typer.Option("--to", help="A new folder for the result.", metavar="PATH", parser=require_local_path),
    ],
) -> None:
    """Write a checkpoint in .bin as safetensors; code in it is refused, not run."""
    require_own_package("trainer")
    from trainer.convert import convert as run

    say(f"model: {run(source, to)}")


def explain(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="RUN/model, or any BERT, RoBERTa or ModernBERT.",
            metavar="PATH",
            parser=model_place,
        ),
    ],
    sentence: Annotated[str, typer.Option("--sentence", help="With one [MASK] in place of the answer.")],
    answer: Annotated[
        str | None, typer.Option("--answer", help="The answer explained; default: the model's guess.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many neurons.")] = 20,
    points: Annotated[int, typer.Option("--points", min=1, help="Points of the integral, m.")] = 20,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            help="FILE.json, .html, .png, .svg or .pdf (repeatable).",
            metavar="PATH",
            parser=require_local_path,
        ),
    ] = None,
) -> None:
    """Show which feed-forward neurons make a model give an answer."""
    require_own_package("trainer")
    from trainer.trelm.explain import explain as run
    from trainer.trelm.explain import save, show

    explanation = run(model, sentence, answer=answer, top=top, points=points)
    show(explanation, stdout)
    for path in out or []:
        save(explanation, path)
