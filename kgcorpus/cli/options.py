"""Options and arguments that several commands have, and what a shell completes them with."""

from pathlib import Path
from typing import Annotated

import typer

from kgcorpus.contracts.remote import given, given_path, local_folder


def complete_table(incomplete: str) -> list[str]:
    """The tables whose names begin so."""
    from kgcorpus.contracts.tables import TABLES

    return [name for name in TABLES if name.startswith(incomplete)]


def complete_objective(incomplete: str) -> list[str]:
    """The objectives whose names begin so."""
    return [name for name in ("kmlm", "trelm", "jaket", "transe") if name.startswith(incomplete)]


def complete_benchmark(incomplete: str) -> list[str]:
    """The benchmarks whose names begin so."""
    from trainer.evaluate import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


CONFIG_HELP = "YAML file, or the name of one in conf/"
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"{CONFIG_HELP}; default: the embedded world is built.",
        metavar="PATH",
        parser=given_path,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The build's folder.", metavar="PATH", parser=local_folder)]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Override a config field (repeatable).")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="Tables or shard configs; default: all.",
        autocompletion=complete_table,
    ),
]
Corpus = Annotated[
    str, typer.Option("--corpus", help="A build's folder, or the URL of a published one.", callback=given)
]
TrainingFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help=f"{CONFIG_HELP}; trainer/config.py has the keys.", metavar="PATH", parser=given_path
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run the targets though they are up to date.")]
