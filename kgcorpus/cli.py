"""The command line. Every command imports what it needs when it runs, so `--help` is quick."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from kgcorpus import __version__
from kgcorpus.contracts.errors import UsageError, as_error
from kgcorpus.contracts.panics import is_panic, panic_as_error
from kgcorpus.contracts.remote import given, given_path, local_folder
from kgcorpus.contracts.secrets import redact
from kgcorpus.contracts.signals import Stopped, stop_on_signals, stopped
from kgcorpus.report.terminal import (
    guard_logs,
    prepare_streams,
    say,
    say_json,
    say_lines,
    stderr,
    stdout,
    use_unicode_names,
)
from kgcorpus.report.visible import visible

Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file; without one, the embedded world is built.")
]
Out = Annotated[Path, typer.Option("--out", help="The build's folder.", metavar="PATH", parser=local_folder)]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Override a config field (repeatable).")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
Targets = Annotated[
    list[str] | None, typer.Argument(metavar="[TARGET]...", help="Tables or shard configs; default: all.")
]
Corpus = Annotated[
    str, typer.Option("--corpus", help="A build's folder, or the URL of a published one.", callback=given)
]
TrainingFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file; trainer/config.py has its keys.")
]
Force = Annotated[bool, typer.Option("--force", help="Run the targets though they are up to date.")]


class _Careful:
    """Click's errors quote arguments: they are made visible. An EOFError is an error like any other."""

    def make_context(self, *args: Any, **keywords: Any) -> Any:
        """Parse the arguments."""
        with _careful():
            return super().make_context(*args, **keywords)  # type: ignore[misc]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _careful():
            return super().invoke(ctx)  # type: ignore[misc]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; a reader that goes away (`| head`) is no failure."""
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        except SystemExit as stop:
            # rich has sent the rest to /dev/null, and would end the process with 1.
            if not isinstance(stop.__context__, BrokenPipeError):
                raise


class Commands(_Careful, typer.core.TyperGroup):
    """The commands of `kgcorpus`."""


class Command(_Careful, typer.core.TyperCommand):
    """One command by itself."""


@contextmanager
def _careful() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        # click would print "Aborted!" and exit with 1.
        raise Stopped(signal.SIGINT) from None
    except EOFError as error:
        # click would take it for Ctrl-D; no command reads the keyboard.
        raise as_error(error) from error
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str) and hasattr(error, "format_message"):
            error.message = visible(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=Commands,
    help="Wikipedia and Wikidata to pretraining shards, and models trained on them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Log everything; show whole traces.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Set logging up for every command."""
    guard_logs(debug=debug)
    if version:
        say(__version__)
        raise typer.Exit


@app.command("build-corpus", cls=Command)
def build_corpus(
    targets: Targets = None,
    config: Config = None,
    out: Out = Path("out"),
    set_: Set = None,
    force: Force = False,
) -> None:
    """Bring OUT up to date: links, sentences, importance, cycles, records and shards."""
    from kgcorpus.contracts.manifest import load_manifest
    from pipelines.plan import unavailable_targets
    from pipelines.remarks import remarks
    from pipelines.runner import Outcome, build

    resolved = _build_config(config, out, set_ or [])
    for name, reason in unavailable_targets(resolved, targets or []).items():
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
) -> None:
    """Say what build-corpus would do. Starts no Spark."""
    from kgcorpus.contracts.manifest import load_manifest
    from pipelines.plan import SourceDigests
    from pipelines.plan import plan as make_plan

    resolved = _build_config(config, out, set_ or [])
    manifest, digests = load_manifest(out), SourceDigests(out)
    steps = make_plan(resolved, out, manifest=manifest, digests=digests, targets=targets or (), force=force)
    if manifest.tables:
        digests.files.save()
    rows = [{"stage": step.stage, "action": step.action, "reason": step.reason} for step in steps]
    _show(rows, as_json, lambda row: f"{row['stage']:<18} {row['action']:<5} {row['reason']}")


@app.command(cls=Command)
def status(out: Out = Path("out"), as_json: AsJson = False) -> None:
    """Show a build's tables: rows, bytes, and what was dropped and why."""
    from kgcorpus.contracts.manifest import load_manifest

    manifest = load_manifest(out, required=True)
    rows = [
        {
            "table": name,
            "rows": entry.rows,
            "bytes": sum(file.bytes for file in entry.files),
            "shards": len(entry.files),
            "drops": entry.drops,
        }
        for name, entry in manifest.tables.items()
    ]

    def line(row: dict[str, Any]) -> str:
        drops = ", ".join(f"{reason} {n:,}" for reason, n in row["drops"].items())
        return f"{row['table']:<18} {row['rows']:>11,} rows {row['bytes']:>14,} bytes  " + (
            f"dropped: {drops}" if drops else ""
        )

    _show(rows, as_json, line)


@app.command(cls=Command)
def inspect(
    table: Annotated[str, typer.Argument(help="A table or shard config.")],
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
            f"no environment is called {environment!r}", mend=f"They are: {', '.join(ENVIRONMENTS)}"
        )
    made = make_package(to)
    arguments = ["--config", config, "--out", out]
    line = submit_command(made, environment=environment, master=master, image=image, arguments=arguments)
    for command in (*recipe(made, environment, image=image), line):
        say(command)


@app.command(cls=Command)
def train(
    objective: Annotated[str, typer.Argument(help="kmlm, trelm, jaket or transe.")],
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
        Path, typer.Argument(metavar="GRID.yaml", help="Arms, values, seeds, scores: conf/sweeps.")
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
    benchmark: Annotated[str, typer.Argument(help="The benchmark's name, e.g. xlr; a wrong one lists all.")],
    out: Annotated[
        Path, typer.Option("--out", help="The JSON file to write.", metavar="PATH", parser=given_path)
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", help="RUN/model, any checkpoint, or RUN/checkpoints for all of them."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Its data; for xlr a build's folder; for linking gold texts, else links are hidden.",
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file.")] = None,
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
        Path | None, typer.Option("--exclude-names", help="linking: QIDs whose names are left out.")
    ] = None,
) -> None:
    """Score a model, or a build's linker; the result goes to --out."""
    if benchmark == "linking":
        from kgcorpus.contracts.languages import base_language_of
        from kgcorpus.contracts.manifest import load_manifest
        from kgcorpus.linking.evaluate import evaluate as score

        if corpus is None:
            raise UsageError("evaluate linking needs --corpus, a build's folder")
        load_manifest(corpus, required=True)
        lang = lang or base_language_of(corpus)
        score(corpus, out=out, lang=lang, data=data, exclude_names=exclude_names, overrides=set_ or [])
        return
    from kgcorpus.config import load
    from trainer.evaluate import evaluate as run
    from trainer.evaluate.config import EvaluationConfig

    if model is None or data is None:
        raise UsageError(f"evaluate {benchmark} needs --model and --data")
    resolved = load(EvaluationConfig, config, overrides=set_ or [])
    run(benchmark, model=str(model), data=str(data), out=out, config=resolved)


@app.command(cls=Command)
def convert(
    source: Annotated[
        Path, typer.Argument(help="A checkpoint's folder, with pytorch_model.bin or its index and parts.")
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
        list[Path] | None, typer.Option("--out", help="FILE.json, .html, .png, .svg or .pdf (repeatable).")
    ] = None,
) -> None:
    """Show which feed-forward neurons make a model give an answer."""
    from trainer.trelm.explain import explain as run
    from trainer.trelm.explain_view import save, show

    explanation = run(model, sentence, answer=answer, top=top, points=points)
    show(explanation, stdout)
    for path in out or []:
        save(explanation, path)


def run_app(application: Callable[[], Any]) -> int:
    """Run a Typer application; errors and signals end in one line and their exit code."""
    prepare_streams()
    stop_on_signals()
    try:
        application()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except Stopped as signal_:
        return _show_stopped(signal_)
    except BaseException as error:
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        logging.getLogger(__name__).debug("failed", exc_info=True)
        if (received := stopped()) is not None:
            return _show_stopped(received)
        shown = as_error(error) if isinstance(error, Exception) else panic_as_error(error)
        say(f"error: {redact(str(shown))}", console=stderr, style="red")
        return shown.exit_code
    return 0


def _show_stopped(signal_: Stopped) -> int:
    say(f"error: {signal_}", console=stderr, style="red")
    return signal_.exit_code


def entry() -> None:
    """The `kgcorpus` command."""
    use_unicode_names()
    sys.exit(run_app(app))


def build_app() -> int:
    """build-corpus alone, for spark-submit."""
    guard_logs(debug=False)
    alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    alone.command(cls=Command)(build_corpus)
    return run_app(alone)


def _build_config(file: Path | None, out: Path, overrides: list[str]) -> Any:
    from kgcorpus.config import BuildConfig, load

    if file is None:
        from kgcorpus.demo.embedded import demo_config
        from pipelines.sweep import check_folder

        # Before the world's dumps are written there.
        check_folder(out, ())
        path, variables = demo_config(out)
        return load(BuildConfig, path, overrides=overrides, variables=variables)
    return load(BuildConfig, file, overrides=overrides)


def _show(rows: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(line(row))
