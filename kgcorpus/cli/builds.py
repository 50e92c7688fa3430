"""Commands that make, show, use and publish a build."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from kgcorpus.cli.options import (
    AsJson,
    Config,
    Force,
    Out,
    Quiet,
    Set,
    Targets,
    Verbose,
    complete_table,
)
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.own_packages import require_own_package
from kgcorpus.contracts.remote import is_remote, require_local_path, require_nonempty
from kgcorpus.contracts.secrets import redact
from kgcorpus.report.terminal import (
    say,
    say_json,
    say_lines,
    say_rows,
    say_unless_quiet,
    set_verbosity,
    stderr,
)


def build_corpus(
    targets: Targets = None,
    config: Config = None,
    out: Out = "out",
    set_: Set = None,
    force: Force = False,
    no_lock: Annotated[
        bool,
        typer.Option(
            "--no-lock",
            help="For a store without conditional writes: no lock, no commit by version. No other build "
            "may write there.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring OUT up to date: links, sentences, importance, cycles, records and shards."""
    set_verbosity(quiet=quiet, verbose=verbose)
    from kgcorpus.api import build_config
    from kgcorpus.report.page.build_page import PAGE
    from kgcorpus.report.statistics import lines_of_templates

    require_own_package("pipelines")
    from pipelines.bound import bind
    from pipelines.build_folders import build_folder
    from pipelines.execute import Outcome
    from pipelines.plan import unavailable_targets
    from pipelines.remarks import remarks
    from pipelines.runner import build

    if no_lock and not is_remote(out):
        raise UsageError("--no-lock is for an OUT in an object store", where=out, hint="Leave it out")
    folder = build_folder(out, lock=not no_lock)
    resolved = build_config(config, folder.path, set_ or [])
    for name, reason in unavailable_targets(bind(resolved), targets or []).items():
        say(f"warning: {name} is left out: {reason}", console=stderr, style="yellow")

    def show(outcome: Outcome) -> None:
        if outcome.action in ("built", "unchanged"):
            rate = f"{outcome.rows / max(outcome.seconds, 1e-3):>10,.0f}/s {outcome.seconds:>7.1f} s"
            say_unless_quiet(f"{outcome.stage:<18} {outcome.rows:>11,} rows {rate}  {outcome.action}")

    outcomes = build(resolved, folder, targets=targets or (), force=force, on_stage=show)
    actions = [outcome.action for outcome in outcomes]
    current = actions.count("skip") + actions.count("unchanged")
    if "built" in actions:
        say_unless_quiet(f"built: {actions.count('built')} stages, up to date: {current}")
    else:
        say_unless_quiet(f"up to date: {current} stages")
    tables = [outcome.stage for outcome in outcomes if outcome.action != "n/a"]
    manifest = folder.load_manifest()
    for remark in remarks(resolved, manifest, tables):
        say(f"warning: {redact(remark)}", console=stderr, style="yellow")
    if "pages" in tables:
        for line in lines_of_templates(manifest.tables["pages"].counts):
            say_unless_quiet(line)
    say_unless_quiet(f"corpus: {out}")
    say_unless_quiet(f"report: {os.path.join(out, PAGE)}")


def plan(
    targets: Targets = None,
    config: Config = None,
    out: Out = "out",
    set_: Set = None,
    force: Force = False,
    as_json: AsJson = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only check the inputs: first records, models, ids, languages."),
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Estimate a whole build's CPU hours, disk, shuffle and memory from measured costs.",
        ),
    ] = False,
) -> None:
    """Say what build-corpus would do. Starts no Spark."""
    from kgcorpus.api import build_config

    require_own_package("pipelines")
    from pipelines.bound import bind
    from pipelines.build_folders import build_folder
    from pipelines.plan import plan as make_plan
    from pipelines.source_digests import SourceDigests

    folder = build_folder(out)
    resolved = build_config(config, folder.path, set_ or [])
    if check:
        _check_inputs(resolved, targets or [], as_json=as_json)
        return
    if estimate:
        _estimate(resolved, targets or [], folder.path, as_json=as_json)
        return
    manifest, digests = folder.load_manifest(), SourceDigests(folder.path)
    steps = make_plan(
        resolved,
        bind(resolved),
        folder,
        manifest=manifest,
        digests=digests,
        targets=targets or (),
        force=force,
    )
    if manifest.tables:
        digests.files.save()
    rows = [{"stage": step.stage, "action": step.action, "reason": step.reason} for step in steps]
    say_rows(rows, as_json, lambda row: f"{row['stage']:<18} {row['action']:<5} {row['reason']}")


def _estimate(config: Any, targets: list[str], out: Any, *, as_json: bool) -> None:
    from pipelines.bound import bind
    from pipelines.estimate import as_rows, as_text, estimate, sizes_of
    from pipelines.plan import selected
    from pipelines.source_digests import SourceDigests

    bound = bind(config)
    chosen = [stage for stage in selected(bound, targets) if not stage.unavailable]
    sizes = sizes_of(config, {stage.name: stage for stage in chosen}, SourceDigests(out))
    rows = as_rows(estimate([stage.name for stage in chosen], sizes))
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say_lines(as_text(row))


def _check_inputs(config: Any, targets: list[str], *, as_json: bool) -> None:
    from pipelines.bound import bind
    from pipelines.plan import selected
    from pipelines.preflight import check

    chosen = selected(bind(config), targets)
    # Loading an encoder takes seconds, because it imports torch; a build does it before its first stage.
    found = check(config, [stage for stage in chosen if not stage.unavailable], load_models=False)
    rows = [
        {"kind": "n/a", "text": f"{stage.name}: {stage.unavailable}"}
        for stage in chosen
        if stage.is_left_out or (stage.unavailable and stage.name in targets)
    ]
    rows += [{"kind": "warning", "text": redact(text)} for text in found.warnings]
    rows += [{"kind": "error", "text": redact(str(error))} for error in found.errors]
    say_rows(rows, as_json, lambda row: f"{row['kind']:<8} {row['text']}")
    if found.errors:
        raise typer.Exit(found.errors[0].exit_code)
    if not as_json:
        say(f"checked: {found.checked} inputs; nothing stops the build")


def status(
    out: Out = "out",
    as_json: AsJson = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Follow the command that works in OUT, or the next one to start there, until it ends, and "
            "exit with its code; with --json, one object a line.",
        ),
    ] = False,
) -> None:
    """Show a build's tables: rows, bytes, what was dropped and why, and what is still to be built."""
    from kgcorpus.cli.watching import describe, exit_code_of
    from kgcorpus.cli.watching import watch as follow
    from kgcorpus.contracts.tables import TABLES
    from kgcorpus.mirror import current_manifest, manifest_of
    from kgcorpus.report.progress import read_facts

    if watch and (code := follow(out, as_json=as_json)) is not None:
        raise typer.Exit(code)
    facts = read_facts(out)
    is_finished = facts is None or facts.state == "finished"
    # The first stage of a first build has no manifest yet.
    manifest = manifest_of(out) if is_finished else current_manifest(out)
    unbuilt = [name for name in TABLES if name in manifest.pending - manifest.tables.keys()]
    rows = [
        _status_of(manifest.tables.get(name), name, pending=name in manifest.pending)
        for name in (*manifest.tables, *unbuilt)
    ]

    def line(row: dict[str, Any]) -> str:
        drops = ", ".join(f"{reason} {n:,}" for reason, n in row["drops"].items())
        state = "  pending" if row["pending"] else ""
        return f"{row['table']:<18} {row['rows']:>11,} rows {row['bytes']:>14,} bytes{state}  " + (
            f"dropped: {drops}" if drops else ""
        )

    say_rows(rows, as_json, line)
    if facts is not None and not is_finished:
        say(describe(facts), console=stderr, style="red" if exit_code_of(facts) else None)
    if manifest.pending:
        waiting = ", ".join(sorted(manifest.pending))
        say(
            f"warning: {out}: the last build is at work, or stopped before these were finished: {waiting}. "
            "Wait for it, or run the same kgcorpus build-corpus again",
            console=stderr,
            style="yellow",
        )


def _status_of(entry: Any, name: str, *, pending: bool) -> dict[str, Any]:
    return {
        "table": name,
        "rows": entry.rows if entry else 0,
        "bytes": sum(file.bytes for file in entry.files) if entry else 0,
        "shards": len(entry.files) if entry else 0,
        "drops": entry.drops if entry else {},
        "pending": pending,
    }


def inspect(
    table: Annotated[str, typer.Argument(help="A table or shard config.", autocompletion=complete_table)],
    out: Out = "out",
    n: Annotated[int, typer.Option("-n", min=1, help="How many records.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Show some records so that a person can read them."""
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.contracts.tables import table as find_table
    from kgcorpus.mirror import local_build, manifest_of
    from kgcorpus.report.inspect import render_row, sample_rows
    from kgcorpus.report.labels import labels_of

    name = find_table(table).name
    built = manifest_of(out).tables.keys()
    if name not in built:
        raise UsageError(f"{table} is not built", where=out, hint=f"Run kgcorpus build-corpus {table}")
    folder = local_build(out, built & {name, "entities", "relations"})
    manifest = load_manifest(folder)
    manifest.verify_files(folder, (name,))
    rows = sample_rows(manifest.files(folder, table), n)
    if as_json:
        say_json(rows)
        return
    label_of = labels_of(manifest, folder)
    for row in rows:
        say_lines(render_row(table, row, label_of=label_of) + "\n")
    say(f"labels beside ids are in {label_of.lang}, the base language", console=stderr)


def report(
    out: Out = "out",
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run",
            help="Draw this run's curves instead; repeat it for several runs.",
            metavar="RUN",
            parser=require_local_path,
        ),
    ] = None,
) -> None:
    """Write report.html, report.json and the card again from the build's files; or those of runs."""
    if run:
        require_own_package("trainer")
        from trainer.curves import write_curves
        from trainer.run_page import write_run_page

        say(f"report: {write_run_page(run)}")
        for path in write_curves(run):
            say(f"curves: {path}")
        return
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.report.page.build_page import PAGE, write_page
    from kgcorpus.report.write import write_report

    if is_remote(out):
        require_own_package("pipelines")
        from pipelines.store_report import rewrite_report

        say(f"report: {rewrite_report(out)}")
        return
    folder = Path(out)
    manifest = load_manifest(folder, required=True)
    manifest.check_files(folder, manifest.tables.keys() | manifest.pending)
    write_page(folder, manifest, write_report(folder, manifest))
    say(f"report: {folder / PAGE}")


def link(
    text_or_file: Annotated[
        str, typer.Argument(help="A text; or a file: .jsonl with `text` a line, else one text.")
    ],
    corpus: Annotated[
        str,
        typer.Option("--corpus", help="A build's folder or URL.", metavar="PATH", parser=require_nonempty),
    ],
    lang: Annotated[
        str | None, typer.Option("--lang", help="Language of the text; default: the build's base language.")
    ] = None,
    set_: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a text and line.")] = False,
) -> None:
    """Mark the entities in a text by the names and links of a build."""
    from kgcorpus.contracts.languages import base_language_of
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.linking.linker import TABLES, Linker
    from kgcorpus.linking.texts import describe, read_texts
    from kgcorpus.mirror import local_build
    from kgcorpus.report.labels import labels_of

    folder = local_build(corpus, {*TABLES, "relations"})
    manifest = load_manifest(folder, required=True)
    lang = lang or base_language_of(folder)
    linker = Linker.open(folder, lang, overrides=set_ or [])
    label_of = labels_of(manifest, folder, lang=lang)
    for text in read_texts(text_or_file):
        row = describe(linker, text, label_of=label_of)
        if as_json:
            say_json(row, indent=None)
            continue
        for mention in row["mentions"]:
            line = "{start:>7} {end:>7}  {confidence:.2f}  {qid:<10} {surface}".format(**mention)
            say(f"{line}  ({mention['label'] or '?'})")


def publish(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="A URL: s3://bucket/corpus, hf://datasets/USER/NAME; for a model hf://USER/NAME.",
            callback=require_nonempty,
        ),
    ],
    out: Out = "out",
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="Publish this run's model instead.", metavar="RUN", parser=require_local_path
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="hf://: everybody may read a new repository.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Send a build or a model to a URL; files that are there already are not sent again."""
    from kgcorpus.destinations import is_hub
    from kgcorpus.publishing import publish_model, publish_to

    set_verbosity(quiet=quiet, verbose=verbose)
    if public and not is_hub(to):
        raise UsageError("--public is for hf:// URLs", where=redact(to), hint="Leave it out")
    if model is not None:
        files = publish_model(to, model, private=not public)
    else:
        files = publish_to(to, out, private=not public)
    say_unless_quiet(f"sent {files} files to {redact(to)}")
