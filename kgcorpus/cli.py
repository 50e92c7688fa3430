"""The command line. Every command imports what it needs when it runs, so `--help` is quick."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from kgcorpus import __version__
from kgcorpus.commands import CONTEXT, Command, Commands, run_app
from kgcorpus.contracts.errors import UsageError, known_names
from kgcorpus.contracts.remote import given, given_path, local_folder
from kgcorpus.contracts.secrets import redact
from kgcorpus.report.terminal import (
    guard_logs,
    say,
    say_json,
    say_lines,
    stderr,
    stdout,
    use_unicode_names,
)


def _complete_table(incomplete: str) -> list[str]:
    from kgcorpus.contracts.tables import TABLES

    return [name for name in TABLES if name.startswith(incomplete)]


def _complete_objective(incomplete: str) -> list[str]:
    return [name for name in ("kmlm", "trelm", "jaket", "transe") if name.startswith(incomplete)]


def _complete_benchmark(incomplete: str) -> list[str]:
    from trainer.evaluate import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


_CONFIG = "YAML file, or the name of one in conf/"
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"{_CONFIG}; default: the embedded world is built.",
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
        autocompletion=_complete_table,
    ),
]
Corpus = Annotated[
    str, typer.Option("--corpus", help="A build's folder, or the URL of a published one.", callback=given)
]
TrainingFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help=f"{_CONFIG}; trainer/config.py has the keys.", metavar="PATH", parser=given_path
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run the targets though they are up to date.")]


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


@app.command("build-corpus", cls=Command)
def build_corpus(
    targets: Targets = None,
    config: Config = None,
    out: Out = Path("out"),
    set_: Set = None,
    force: Force = False,
) -> None:
    """Bring OUT up to date: links, sentences, importance, cycles, records and shards."""
    from kgcorpus.api import build_config
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.report.statistics import lines_of_templates
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
            say(f"{outcome.stage:<18} {outcome.rows:>11,} rows {rate}  {outcome.action}")

    outcomes = build(resolved, out, targets=targets or (), force=force, on_stage=show)
    actions = [outcome.action for outcome in outcomes]
    current = actions.count("skip") + actions.count("unchanged")
    if "built" in actions:
        say(f"built: {actions.count('built')} stages, up to date: {current}")
    else:
        say(f"up to date: {current} stages")
    tables = [outcome.stage for outcome in outcomes if outcome.action != "n/a"]
    for remark in remarks(resolved, load_manifest(out), tables):
        say(f"warning: {redact(remark)}", console=stderr, style="yellow")
    if "pages" in tables:
        for line in lines_of_templates(load_manifest(out).tables["pages"].counts):
            say(line)
    say(f"corpus: {out}")
    say(f"report: {out / 'report.json'}")


@app.command(cls=Command)
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
    _show(rows, as_json, lambda row: f"{row['stage']:<18} {row['action']:<5} {row['reason']}")


def _check_inputs(config: Any, targets: list[str], *, as_json: bool) -> None:
    from pipelines.bound import bind
    from pipelines.plan import selected
    from pipelines.preflight import check

    chosen = selected(bind(config), targets)
    found = check(config, [stage for stage in chosen if not stage.unavailable])
    rows = [
        {"kind": "n/a", "text": f"{stage.name}: {stage.unavailable}"} for stage in chosen if stage.unavailable
    ]
    rows += [{"kind": "warning", "text": redact(text)} for text in found.warnings]
    rows += [{"kind": "error", "text": redact(str(error))} for error in found.errors]
    _show(rows, as_json, lambda row: f"{row['kind']:<8} {row['text']}")
    if found.errors:
        raise typer.Exit(found.errors[0].exit_code)
    if not as_json:
        say(f"checked: {found.checked} inputs and models, nothing stops the build")


@app.command(cls=Command)
def status(out: Out = Path("out"), as_json: AsJson = False) -> None:
    """Show a build's tables: rows, bytes, what was dropped and why, and what is still to be built."""
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.contracts.tables import TABLES

    manifest = load_manifest(out, required=True)
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

    _show(rows, as_json, line)
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


@app.command(cls=Command)
def inspect(
    table: Annotated[str, typer.Argument(help="A table or shard config.", autocompletion=_complete_table)],
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
        raise UsageError(f"{table} is not built", where=str(out), mend=f"Run kgcorpus build-corpus {table}")
    manifest.verify_files(out, (find_table(table).name,))
    rows = sample_rows(manifest.files(out, table), n)
    if as_json:
        say_json(rows)
        return
    label_of = labels_of(manifest, out)
    for row in rows:
        say_lines(render_row(table, row, label_of=label_of) + "\n")


@app.command(cls=Command)
def report(out: Out = Path("out")) -> None:
    """Write report.json and the card anew from the manifest."""
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.report.write import write_report

    manifest = load_manifest(out, required=True)
    manifest.check_files(out, manifest.tables.keys() | manifest.pending)
    write_report(out, manifest)
    say(f"report: {out / 'report.json'}")


@app.command(cls=Command)
def doctor(as_json: AsJson = False) -> None:
    """Check this machine: Python, Java, extras, memory, disk, GPU."""
    from kgcorpus.doctor import checks

    rows = [vars(check) for check in checks()]
    _show(
        rows,
        as_json,
        lambda row: f"{'ok  ' if row['ok'] else 'LACK'} {row['name']:<12} {row['detail']}  {row['mend']}",
    )
    if any(not row["ok"] and row["required"] for row in rows):
        raise typer.Exit(4)


@app.command(cls=Command)
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


@app.command(cls=Command)
def publish(
    to: Annotated[str, typer.Option("--to", help="A URL, e.g. s3://bucket/corpus.", callback=given)],
    out: Out = Path("out"),
) -> None:
    """Send a finished build to an object store; files that are there already are not sent again."""
    from kgcorpus.mirror import publish_to

    say(f"sent {publish_to(to, out)} files to {redact(to)}")


@app.command(cls=Command)
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
            mend=known_names(environment, ENVIRONMENTS, listed="They are"),
        )
    made = make_package(to)
    arguments = ["--config", config, "--out", out]
    line = submit_command(made, environment=environment, master=master, image=image, arguments=arguments)
    for command in (*recipe(made, environment, image=image), line):
        say(command)


@app.command(cls=Command)
def train(
    objective: Annotated[
        str, typer.Argument(help="kmlm, trelm, jaket or transe.", autocompletion=_complete_objective)
    ],
    corpus: Corpus,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="The run's folder; the same again resumes.", metavar="PATH", parser=local_folder
        ),
    ],
    config: TrainingFile = None,
    set_: Set = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="End at exactly this step.")
    ] = None,
) -> None:
    """Train a model on a build's shards."""
    from kgcorpus.config import load
    from trainer.config import TrainingConfig
    from trainer.run import train as run

    resolved = load(TrainingConfig, config, overrides=set_ or [])
    run(objective, corpus=corpus, out=str(out), config=resolved, max_steps=max_steps)
    say(f"checkpoint: {out / 'model'}")


@app.command(cls=Command)
def sweep(
    grid: Annotated[
        Path,
        typer.Argument(
            metavar="GRID.yaml", help="Arms, values, seeds, scores: conf/sweeps.", parser=given_path
        ),
    ],
    corpus: Corpus,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Holds the runs; the same again goes on.", metavar="PATH", parser=local_folder
        ),
    ],
    config: TrainingFile = None,
    set_: Set = None,
) -> None:
    """Train and score a grid of runs, and set them side by side."""
    from kgcorpus.config import load, settings
    from trainer.sweep import SweepConfig, run_sweep

    shared = settings(config, overrides=set_ or [])
    table = run_sweep(load(SweepConfig, grid), corpus=corpus, out=out, shared=shared)
    say_lines(table.read_text(encoding="utf-8"))
    say(f"sweep: {table}")


@app.command(cls=Command)
def evaluate(
    benchmark: Annotated[
        str,
        typer.Argument(
            help="The benchmark's name, e.g. xlr; a wrong one lists all.",
            autocompletion=_complete_benchmark,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The JSON file to write.", metavar="PATH", parser=given_path)
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="RUN/model, any checkpoint, or RUN/checkpoints for all of them.",
            metavar="PATH",
            parser=given_path,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Its data; for xlr a build's folder; for linking gold texts, else links are hidden.",
            metavar="PATH",
            parser=given_path,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help=f"{_CONFIG}.", metavar="PATH", parser=given_path)
    ] = None,
    set_: Set = None,
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="linking: a build's folder.", metavar="PATH", parser=given_path),
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
            parser=given_path,
        ),
    ] = None,
) -> None:
    """Score a model, or a build's linker; the result goes to --out, its scores to stderr."""
    from kgcorpus.report.scores import summary

    if benchmark == "linking":
        from kgcorpus.contracts.languages import base_language_of
        from kgcorpus.contracts.manifest import load_manifest
        from kgcorpus.linking.evaluate import evaluate as score

        if corpus is None:
            raise UsageError("evaluate linking needs --corpus, a build's folder")
        load_manifest(corpus, required=True)
        lang = lang or base_language_of(corpus)
        found = score(
            corpus, out=out, lang=lang, data=data, exclude_names=exclude_names, overrides=set_ or []
        )
        say(summary(found), console=stderr)
        return
    from kgcorpus.config import load
    from trainer.evaluate import evaluate as run
    from trainer.evaluate import require_benchmark
    from trainer.evaluate.config import EvaluationConfig

    require_benchmark(benchmark)
    if model is None or data is None:
        raise UsageError(f"evaluate {benchmark} needs --model and --data")
    resolved = load(EvaluationConfig, config, overrides=set_ or [])
    found = run(benchmark, model=str(model), data=str(data), out=out, config=resolved)
    say(summary(found), console=stderr)


@app.command(cls=Command)
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint's folder, with pytorch_model.bin or its index and parts.",
            metavar="SOURCE",
            parser=given_path,
        ),
    ],
    to: Annotated[
        Path, typer.Option("--to", help="A new folder for the result.", metavar="PATH", parser=given_path)
    ],
) -> None:
    """Write a checkpoint in .bin as safetensors; code in it is refused, not run."""
    from trainer.convert import convert as run

    say(f"model: {run(source, to)}")


@app.command(cls=Command)
def explain(
    model: Annotated[str, typer.Option("--model", help="RUN/model, or any BERT or RoBERTa.")],
    sentence: Annotated[str, typer.Option("--sentence", help="With one [MASK] where the answer stands.")],
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
            parser=given_path,
        ),
    ] = None,
) -> None:
    """Show which feed-forward neurons make a model give an answer."""
    from trainer.trelm.explain import explain as run
    from trainer.trelm.explain import save, show

    explanation = run(model, sentence, answer=answer, top=top, points=points)
    show(explanation, stdout)
    for path in out or []:
        save(explanation, path)


def entry() -> None:
    """The `kgcorpus` command."""
    use_unicode_names()
    sys.exit(run_app(app))


def build_app() -> int:
    """build-corpus alone, for spark-submit."""
    guard_logs(debug=False)
    alone = typer.Typer(context_settings=CONTEXT, pretty_exceptions_enable=False, add_completion=False)
    alone.command(cls=Command)(build_corpus)
    return run_app(alone)


def _show(rows: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(line(row))
