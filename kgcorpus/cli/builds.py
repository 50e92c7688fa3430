"""Commands that make, show, use and publish a build."""

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
from kgcorpus.contracts.remote import given, given_path
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
    out: Out = Path("out"),
    set_: Set = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring OUT up to date: links, sentences, importance, cycles, records and shards."""
    set_verbosity(quiet=quiet, verbose=verbose)
    from kgcorpus.api import build_config
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.report.statistics import lines_of_templates

    require_own_package("pipelines")
    from pipelines.bound import bind
    from pipelines.execute import Outcome
    from pipelines.plan import unavailable_targets
    from pipelines.remarks import remarks
    from pipelines.runner import build

    resolved = build_config(config, out, set_ or [])
    for name, reason in unavailable_targets(bind(resolved), targets or []).items():
        say(f"warning: {name} is left out: {reason}", console=stderr, style="yellow")

    def show(outcome: Outcome) -> None:
        if outcome.action in ("built", "unchanged"):
            rate = f"{outcome.rows / max(outcome.seconds, 1e-3):>10,.0f}/s {outcome.seconds:>7.1f} s"
            say_unless_quiet(f"{outcome.stage:<18} {outcome.rows:>11,} rows {rate}  {outcome.action}")

    outcomes = build(resolved, out, targets=targets or (), force=force, on_stage=show)
    actions = [outcome.action for outcome in outcomes]
    current = actions.count("skip") + actions.count("unchanged")
    if "built" in actions:
        say_unless_quiet(f"built: {actions.count('built')} stages, up to date: {current}")
    else:
        say_unless_quiet(f"up to date: {current} stages")
    tables = [outcome.stage for outcome in outcomes if outcome.action != "n/a"]
    for remark in remarks(resolved, load_manifest(out), tables):
        say(f"warning: {redact(remark)}", console=stderr, style="yellow")
    if "pages" in tables:
        for line in lines_of_templates(load_manifest(out).tables["pages"].counts):
            say_unless_quiet(line)
    say_unless_quiet(f"corpus: {out}")
    say_unless_quiet(f"report: {out / 'report.json'}")


def plan(
    targets: Targets = None,
    config: Config = None,
    out: Out = Path("out"),
    set_: Set = None,
    force: Force = False,
    as_json: AsJson = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only check the inputs: first records, models, ids, languages."),
    ] = False,
) -> None:
    """Say what build-corpus would do. Starts no Spark."""
    from kgcorpus.api import build_config
    from kgcorpus.contracts.manifest import load_manifest

    require_own_package("pipelines")
    from pipelines.bound import bind
    from pipelines.plan import plan as make_plan
    from pipelines.source_digests import SourceDigests

    resolved = build_config(config, out, set_ or [])
    if check:
        _check_inputs(resolved, targets or [], as_json=as_json)
        return
    manifest, digests = load_manifest(out), SourceDigests(out)
    steps = make_plan(
        resolved, bind(resolved), out, manifest=manifest, digests=digests, targets=targets or (), force=force
    )
    if manifest.tables:
        digests.files.save()
    rows = [{"stage": step.stage, "action": step.action, "reason": step.reason} for step in steps]
    say_rows(rows, as_json, lambda row: f"{row['stage']:<18} {row['action']:<5} {row['reason']}")


def _check_inputs(config: Any, targets: list[str], *, as_json: bool) -> None:
    from pipelines.bound import bind
    from pipelines.plan import selected
    from pipelines.preflight import check

    chosen = selected(bind(config), targets)
    # Loading an encoder takes seconds for torch alone; a build does it before its first stage.
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
        say(f"checked: {found.checked} inputs and models, nothing stops the build")


def status(
    out: Out = Path("out"),
    as_json: AsJson = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Follow the command that works in OUT until it ends, and exit with its code; with --json, "
            "one object a line.",
        ),
    ] = False,
) -> None:
    """Show a build's tables: rows, bytes, what was dropped and why, and what is still to be built."""
    from kgcorpus.cli.watching import describe, exit_code_of
    from kgcorpus.cli.watching import watch as follow
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.contracts.tables import TABLES
    from kgcorpus.report.progress import read_facts

    facts = read_facts(out)
    if watch and facts is not None:
        raise typer.Exit(follow(out, as_json=as_json))
    is_finished = facts is None or facts.state == "finished"
    # The first stage of a first build has no manifest yet.
    manifest = load_manifest(out, required=is_finished)
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
    out: Out = Path("out"),
    n: Annotated[int, typer.Option("-n", min=1, help="How many records.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Show some records so that a person can read them."""
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.contracts.tables import table as find_table
    from kgcorpus.report.inspect import render_row, sample_rows
    from kgcorpus.report.labels import labels_of

    manifest = load_manifest(out, required=True)
    if find_table(table).name not in manifest.tables:
        raise UsageError(f"{table} is not built", where=str(out), hint=f"Run kgcorpus build-corpus {table}")
    manifest.verify_files(out, (find_table(table).name,))
    rows = sample_rows(manifest.files(out, table), n)
    if as_json:
        say_json(rows)
        return
    label_of = labels_of(manifest, out)
    for row in rows:
        say_lines(render_row(table, row, label_of=label_of) + "\n")
    say(f"labels beside ids are in {label_of.lang}, the base language", console=stderr)


def report(out: Out = Path("out")) -> None:
    """Write report.json and the card anew from the manifest."""
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.report.write import write_report

    manifest = load_manifest(out, required=True)
    manifest.check_files(out, manifest.tables.keys() | manifest.pending)
    write_report(out, manifest)
    say(f"report: {out / 'report.json'}")


def link(
    text_or_file: Annotated[
        str, typer.Argument(help="A text; or a file: .jsonl with `text` a line, else one text.")
    ],
    corpus: Annotated[
        Path, typer.Option("--corpus", help="A build's folder.", metavar="PATH", parser=given_path)
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
    from kgcorpus.linking.linker import Linker
    from kgcorpus.linking.texts import describe, read_texts
    from kgcorpus.report.labels import labels_of

    manifest = load_manifest(corpus, required=True)
    lang = lang or base_language_of(corpus)
    linker = Linker.open(corpus, lang, overrides=set_ or [])
    label_of = labels_of(manifest, corpus, lang=lang)
    for text in read_texts(text_or_file):
        row = describe(linker, text, label_of=label_of)
        if as_json:
            say_json(row, indent=None)
            continue
        for mention in row["mentions"]:
            line = "{start:>7} {end:>7}  {confidence:.2f}  {qid:<10} {surface}".format(**mention)
            say(f"{line}  ({mention['label'] or '?'})")


def publish(
    to: Annotated[str, typer.Option("--to", help="A URL, e.g. s3://bucket/corpus.", callback=given)],
    out: Out = Path("out"),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Send a finished build to an object store; files that are there already are not sent again."""
    from kgcorpus.publishing import publish_to

    set_verbosity(quiet=quiet, verbose=verbose)
    say_unless_quiet(f"sent {publish_to(to, out)} files to {redact(to)}")
