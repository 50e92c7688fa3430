"""The command line. Every command imports what it needs when it runs, so `--help` is quick."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from kgcorpus import __version__
from kgcorpus.cli import builds, machines, models, reproducing, start
from kgcorpus.cli.options import RegistryCommand
from kgcorpus.commands import CONTEXT, Command, Commands, run_app
from kgcorpus.report.terminal import guard_logs, say, use_unicode_names

__all__ = ["app", "build_app", "entry", "run_app"]


def _print_version(asked: bool) -> None:
    if asked:
        say(__version__)
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    context_settings=CONTEXT,
    help="Wikipedia and Wikidata to pretraining shards, and models trained on them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Log everything; show whole traces.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Set logging up for every command."""
    guard_logs(debug=debug)


# In the order of `kgcorpus --help`.
_COMMANDS: tuple[Callable[..., None], ...] = (
    start.demo,
    start.init,
    builds.build_corpus,
    builds.plan,
    builds.status,
    builds.inspect,
    builds.report,
    machines.doctor,
    builds.link,
    builds.publish,
    machines.package,
    models.train,
    models.sweep,
    models.evaluate,
    models.convert,
    models.explain,
    reproducing.reproduce,
    reproducing.download,
)
for command in _COMMANDS:
    app.command(cls=RegistryCommand if command in (models.train, models.evaluate) else Command)(command)


def entry() -> None:
    """The `kgcorpus` command."""
    use_unicode_names()
    sys.exit(run_app(app))


def build_app() -> int:
    """A program with the command build-corpus only, for spark-submit."""
    guard_logs(debug=False)
    alone = typer.Typer(context_settings=CONTEXT, pretty_exceptions_enable=False, add_completion=False)
    alone.command(cls=Command)(builds.build_corpus)
    return run_app(alone)
