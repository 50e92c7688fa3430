"""The commands `doctor` (checks of this machine) and `package` (files for a cluster)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kgcorpus.cli.options import AsJson
from kgcorpus.contracts.errors import UsageError, known_names
from kgcorpus.contracts.remote import build_place, require_local_path
from kgcorpus.report.terminal import say, say_rows


def doctor(as_json: AsJson = False) -> None:
    """Check this machine: Python, Java, extras, memory, disk, GPU."""
    from kgcorpus.doctor import checks

    rows = [vars(check) for check in checks()]
    say_rows(rows, as_json, _check_line)
    lacking = any(not row["ok"] and row["required"] for row in rows)
    if not as_json:
        state = "is missing (LACK)" if lacking else "is there"
        say(f"What build-corpus needs {state}; a line with -- is about something optional.")
    if lacking:
        raise typer.Exit(4)


def _check_line(row: dict[str, Any]) -> str:
    mark = "ok" if row["ok"] else "LACK" if row["required"] else "--"
    return f"{mark:<4} {row['name']:<17} {row['detail']}" + (f". {row['hint']}" if row["hint"] else "")


def package(
    to: Annotated[
        Path, typer.Option("--to", help="The folder to write to.", metavar="PATH", parser=require_local_path)
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
        str,
        typer.Option(
            "--out",
            help="The build's folder, seen by all nodes, or its URL in an object store.",
            metavar="PATH",
            parser=build_place,
        ),
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
