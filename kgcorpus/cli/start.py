"""Commands for the first hour: `demo` builds and trains the embedded world, `init` writes a configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kgcorpus.cli.options import Quiet, Set, Verbose
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.remote import is_remote, local_folder, require_local_path, require_nonempty
from kgcorpus.report.terminal import say, say_unless_quiet


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder of the corpus and the run.", metavar="PATH", parser=local_folder),
    ] = Path("demo-run"),
    set_: Set = None,
    max_steps: Annotated[int, typer.Option("--max-steps", min=1, help="Training steps.")] = 100,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Build the embedded world in OUT/corpus, and train a small KMLM on it in OUT/kmlm."""
    from kgcorpus.cli.builds import build_corpus
    from kgcorpus.cli.models import train

    corpus, run = out / "corpus", out / "kmlm"
    build_corpus(out=str(corpus), set_=set_, quiet=quiet, verbose=verbose)
    train("kmlm", corpus=str(corpus), out=str(run), max_steps=max_steps, quiet=quiet, verbose=verbose)
    for name, path in (("corpus", corpus), ("report", corpus / "report.json"), ("checkpoint", run / "model")):
        say(f"{name}: {path}")


def _files(option: str, text: str) -> Any:
    """A repeatable option for files of the graph."""
    return typer.Option(option, metavar="FILE", help=text)


def _of_language(option: str, text: str) -> Any:
    """A repeatable option for files of one language."""
    return typer.Option(option, metavar="LANG=FILE", help=text)


_Paths = list[str] | None


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The YAML file to write.", parser=require_local_path)
    ] = Path("my.yaml"),
    languages: Annotated[
        str | None,
        typer.Option("--languages", metavar="LANG,...", help="Base language first; default: the files'."),
    ] = None,
    triples: Annotated[_Paths, _files("--triples", "Lines `h r t` (repeatable).")] = None,
    labels: Annotated[_Paths, _files("--labels", "Lines `id lang label alias...`.")] = None,
    relations: Annotated[_Paths, _files("--relations", "Lines `id lang label`.")] = None,
    descriptions: Annotated[_Paths, _files("--descriptions", "Lines `id text`.")] = None,
    types: Annotated[_Paths, _files("--types", "Lines `id type...`.")] = None,
    text: Annotated[_Paths, _of_language("--text", "Text, .jsonl or .parquet (repeatable).")] = None,
    wikipedia: Annotated[_Paths, _of_language("--wikipedia", "A dump (repeatable).")] = None,
    index: Annotated[_Paths, _of_language("--index", "The dump's multistream index.")] = None,
    titles: Annotated[
        _Paths, _of_language("--titles", "Lines `title id`, or SQL dumps (repeatable).")
    ] = None,
    templates: Annotated[_Paths, _of_language("--templates", "Lines `name text`.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", metavar="MODEL", help="Folder or hub id: builds importance and trelm."),
    ] = None,
    set_: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a configuration for your own data, with a comment on every field."""
    from kgcorpus.config import BuildConfig, put, settings, validated
    from kgcorpus.config.commented import commented_yaml
    from kgcorpus.contracts.store import write_text
    from kgcorpus.contracts.yaml_reader import parse_yaml

    if file.exists() and not force:
        raise UsageError("the file exists", where=str(file), hint="Name another FILE, or add --force")
    graph = {
        "triples": triples,
        "labels": labels,
        "relations": relations,
        "descriptions": descriptions,
        "types": types,
    }
    texts = [{"lang": lang, "path": path} for lang, path in _pairs("--text", text)]
    wikis = _wikis(wikipedia, index=index, titles=titles, templates=templates)
    spoken = languages.split(",") if languages else [entry["lang"] for entry in (*wikis, *texts)]
    values: dict[str, Any] = {}
    for key, value in (
        ("languages", list(dict.fromkeys(code.strip() for code in spoken))),
        ("graph", {name: files for name, files in graph.items() if files}),
        ("wikipedia", wikis),
        ("text", texts),
        ("importance.encoder", encoder),
    ):
        if value:
            put(values, key, value, where="kgcorpus init")
    values = settings(values, overrides=set_ or [])
    validated(BuildConfig, values, where="kgcorpus init")
    if not (values.get("graph") or values.get("wikipedia") or values.get("text")):
        raise UsageError("no input is named", hint="Add --triples, --text or --wikipedia")
    for path in _paths(values):
        if not is_remote(require_nonempty(path)) and "${" not in path and not Path(path).exists():
            raise InputError("no such file", where=path, hint="Correct the path")
    written = commented_yaml(BuildConfig, values)
    # What a build will read is what was asked for.
    if parse_yaml(written, where=str(file)) != values:
        raise UsageError("a value cannot be written as YAML", where=str(file), hint="Rename the file")
    write_text(file, written)
    say_unless_quiet(f"config: {file}")
    say_unless_quiet(f"check it: kgcorpus plan --check --config {file}")


def _pairs(option: str, entries: list[str] | None) -> list[tuple[str, str]]:
    """Split LANG=FILE."""
    found = []
    for entry in entries or []:
        lang, equals, path = entry.partition("=")
        if not (lang and equals and path):
            raise UsageError(f"{option} needs LANG=FILE, not {entry!r}")
        found.append((lang, path))
    return found


def _wikis(dumps: list[str] | None, **files: list[str] | None) -> list[dict[str, Any]]:
    """One entry a language, with its part files in the order of the options."""
    wikis: dict[str, dict[str, Any]] = {}
    for lang, path in _pairs("--wikipedia", dumps):
        wikis.setdefault(lang, {"lang": lang, "dump": []})["dump"].append(path)
    for name, entries in files.items():
        for lang, path in _pairs(f"--{name}", entries):
            if lang not in wikis:
                raise UsageError(f"--{name} names {lang}, but no --wikipedia does")
            wikis[lang].setdefault(name, []).append(path)
    return list(wikis.values())


def _paths(values: Mapping[str, Any]) -> list[str]:
    """The input files of a configuration's values."""
    found = [path for files in (values.get("graph") or {}).values() for path in files]
    found += [entry["path"] for entry in values.get("text") or []]
    for wiki in values.get("wikipedia") or []:
        found += [path for name in ("dump", "index", "titles", "templates") for path in wiki.get(name, [])]
    return found
