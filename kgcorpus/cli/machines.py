"""The commands `doctor` (checks of this machine) and `package` (files for a cluster)."""

from pathlib import Path
from typing import Annotated

import typer

from kgcorpus.cli.options import AsJson
from kgcorpus.contracts.errors import UsageError, known_names
from kgcorpus.contracts.remote import given, given_path
from kgcorpus.report.terminal import say, say_rows


def doctor(as_json: AsJson = False) -> None:
    """Check this machine: Python, Java, extras, memory, disk, GPU."""
    from kgcorpus.doctor import checks

    rows = [vars(check) for check in checks()]
    say_rows(
        rows,
        as_json,
        lambda row: f"{'ok  ' if row['ok'] else 'LACK'} {row['name']:<12} {row['detail']}  {row['hint']}",
    )
    if any(not row["ok"] and row["required"] for row in rows):
        raise typer.Exit(4)


def package(
    to: Annotated[
        Path, typer.Option("--to", help="The folder to write to.", metavar="PATH", parser=given_path)
    ] = Path("package"),
    environment: Annotated[
        str, typer.Option("--environment", help="image, pex, conda-pack or py-files; see docs/cluster.md.")
    ] = "pex",
    master: Annotated[str, typer.Option("--master", help="Spark's master URL.")] = "spark://HOST:7077",
    image: Annotated[
        str, typer.Option("--image", help="The container image, to be built and pushed under this name.")
    ] = "REGISTRY/kgcorpus-spark",
    config: Annotated[str, typer.Option("--config", help="The build's YAML file.")] = "config.yaml",
    out: Annotated[
        str, typer.Option("--out", help="The build's folder, seen by all nodes.", callback=given)
    ] = "/shared/out",
) -> None:
    """Write what a cluster's executors need, and print the commands that submit a build."""
    from kgcorpus.package import ENVIRONMENTS, make_package, recipe, submit_command

    if environment not in ENVIRONMENTS:
        raise UsageError(
            f"no environment is called {environment!r}",
            hint=known_names(environment, ENVIRONMENTS, listed="They are"),
        )
    made = make_package(to)
    arguments = ["--config", config, "--out", out]
    line = submit_command(made, environment=environment, master=master, image=image, arguments=arguments)
    for command in (*recipe(made, environment, image=image), line):
        say(command)
