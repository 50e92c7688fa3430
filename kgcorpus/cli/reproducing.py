"""Commands that redo a paper and fetch what it needs."""

from pathlib import Path
from typing import Annotated

import typer

from kgcorpus.cli.options import Quiet, Set, Verbose
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.remote import local_folder, require_local_path
from kgcorpus.report.terminal import say, say_lines, say_unless_quiet, set_verbosity


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="kmlm, trelm or jaket.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of corpus, runs and tables; the same again resumes. Default: PAPER-SCALE.",
            metavar="PATH",
            parser=local_folder,
        ),
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="Only this table; default: all.")] = None,
    figure: Annotated[str | None, typer.Option("--figure", help="Only this figure.")] = None,
    scale: Annotated[
        str, typer.Option("--scale", help="demo: the embedded world; paper: the paper's data and models.")
    ] = "demo",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder with dumps/, wikidata5m/ and cc100/ (paper scale), metaqa/ and fewrel/ (jaket).",
            metavar="PATH",
            parser=require_local_path,
        ),
    ] = None,
    set_: Set = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show steps and files needed, and exit.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Redo a paper: corpus, training, evaluation, tables. `--set spark.*` is for the build."""
    set_verbosity(quiet=quiet, verbose=verbose)
    from kgcorpus.reproduce.papers import paper_of
    from kgcorpus.reproduce.run import plan_lines
    from kgcorpus.reproduce.run import reproduce as run

    if figure is not None:
        if table is not None:
            raise UsageError("--table and --figure exclude each other", hint="Leave one out")
        table = f"figure-{figure}"
    chosen = paper_of(paper)
    size = chosen.scale(scale)
    folder = out or Path(f"{paper}-{scale}")
    if plan:
        for line in plan_lines(chosen, folder, scale=size, table=table, data=data):
            say(line)
        return
    spark = [one for one in set_ or [] if one.startswith("spark.")]
    others = [one for one in set_ or [] if not one.startswith("spark.")]
    written = run(chosen, folder, scale=size, table=table, data=data, overrides=others, spark=spark)
    if not quiet:
        say_lines(written.read_text(encoding="utf-8"))
    say(f"tables: {written}")


def download(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="WIKI-DATE (enwiki-20260901), cc100-LANG, wikidata, or an evaluation set: lama, xnli, mlqa, "
            "squad, xquad, tydiqa, paws-x, fewrel.",
        ),
    ],
    to: Annotated[
        Path, typer.Option("--to", help="Folder for the files.", metavar="PATH", parser=require_local_path)
    ],
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", help="http(s)://host/path in place of each host, also for checksums."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show files and sizes, and exit.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fetch dumps and evaluation sets: sizes first, resumable, official checksums where there are any."""
    set_verbosity(quiet=quiet, verbose=verbose)
    from kgcorpus.downloads.fetch import fetch, look_up, require_room
    from kgcorpus.downloads.sources import source_of
    from kgcorpus.report.progress import Counts, Progress

    files = look_up([source_of(name) for name in dict.fromkeys(names)], to, mirror=mirror)
    for file in files:
        size = "unknown size" if file.bytes is None else f"{file.bytes:,} bytes"
        say_unless_quiet(f"{file.path} {size}{' (present)' if file.is_here else ''} {file.url}")
    missing = sum(file.missing_bytes for file in files)
    say_unless_quiet(f"files: {len(files)}, to fetch: {missing:,} bytes")
    if plan:
        return
    require_room(files, to)
    fetched = [0, 0]

    def count(size: int) -> None:
        fetched[1] += size

    with (
        Progress("download") as progress,
        progress.work(
            "fetching",
            counts=lambda: Counts(done=fetched[0], total=len(files), bytes=fetched[1]),
            unit="files",
            bytes_total=missing,
        ),
    ):
        for file in files:
            is_new = fetch(file, on_bytes=count)
            fetched[0] += 1
            checked = "SHA-1 as published" if file.sha1 else "size as stated; no checksum is published"
            say_unless_quiet(f"{'fetched' if is_new else 'present'}: {file.path} ({checked})")
