"""Options and arguments that several commands share, and their shell completion."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgcorpus.commands import Command
from kgcorpus.contracts.own_packages import require_own_package
from kgcorpus.contracts.remote import build_place, require_local_path, require_nonempty

if TYPE_CHECKING:
    from kgcorpus.contracts.registry import Registry
    from trainer.evaluate.registry import Benchmark
    from trainer.registry import TrainingObjective


def complete_table(incomplete: str) -> list[str]:
    """The tables whose names begin so."""
    from kgcorpus.contracts.tables import TABLES

    return [name for name in TABLES if name.startswith(incomplete)]


def complete_objective(incomplete: str) -> list[str]:
    """The objectives whose names begin so."""
    return [name for name in objectives() if name.startswith(incomplete)]


def complete_benchmark(incomplete: str) -> list[str]:
    """The benchmarks whose names begin so."""
    return [name for name in benchmarks() if name.startswith(incomplete)]


def objectives() -> "Registry[TrainingObjective]":
    """Import the objectives that `kgcorpus train` accepts.

    Raises:
        EnvironmentLacksError: the package `trainer` belongs to another project.
    """
    require_own_package("trainer")
    from trainer.registry import OBJECTIVES

    return OBJECTIVES


def benchmarks() -> "Registry[Benchmark]":
    """Import the benchmarks that `kgcorpus evaluate` accepts.

    Raises:
        EnvironmentLacksError: the package `trainer` belongs to another project.
    """
    require_own_package("trainer")
    from trainer.evaluate.registry import BENCHMARKS

    return BENCHMARKS


def _objectives() -> str:
    return "; ".join(f"{objective.name}: {objective.summary}" for objective in objectives().values())


def _benchmarks() -> str:
    return ", ".join(sorted(benchmarks()))


class RegistryCommand(Command):
    """A command whose help lists registered names; they are looked up when the help is printed."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        for parameter in self.params:
            text = getattr(parameter, "help", None) or ""
            for mark, listed in (("OBJECTIVES", _objectives), ("BENCHMARKS", _benchmarks)):
                if mark in text:
                    parameter.help = text.replace(mark, listed())  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


CONFIG_HELP = "YAML file, or the name of one in conf/"
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"{CONFIG_HELP}; default: the embedded world is built.",
        metavar="PATH",
        parser=require_local_path,
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        help="The build's folder, or its URL: s3://, gs://, abfs://.",
        metavar="PATH",
        parser=build_place,
    ),
]
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
    str,
    typer.Option(
        "--corpus", help="A build's folder, or the URL of a published one.", callback=require_nonempty
    ),
]
TrainingFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"{CONFIG_HELP}; trainer/config.py has the keys.",
        metavar="PATH",
        parser=require_local_path,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also print what is skipped and why; progress every 5 s.")
]
Force = Annotated[bool, typer.Option("--force", help="Run the targets though they are up to date.")]
