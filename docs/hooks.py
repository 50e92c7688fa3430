"""Hooks of mkdocs: the reference is generated from the code, links out of docs/ go to the repository."""

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File
from pydantic import BaseModel
from typer.main import get_command

from kgcorpus.cli import app
from kgcorpus.config import BuildConfig
from kgcorpus.config.reference import cell, fields_table
from kgcorpus.contracts.drops import DROPS
from kgcorpus.contracts.tables import TABLES

_PYTHON = (
    ("Builds, training, evaluation", ("kgcorpus.api.build", "kgcorpus.api.train", "kgcorpus.api.evaluate")),
    ("A build", ("kgcorpus.corpus.Corpus", "kgcorpus.linking.linker.Linker")),
    ("Records in other trainers", ("kgcorpus.torch",)),
    ("Tables and stages", ("kgcorpus.contracts.schema.Table", "kgcorpus.contracts.stages.Stage")),
    ("Errors", ("kgcorpus.contracts.errors",)),
)
_LINK = re.compile(r"\]\((?P<target>\.\.?/[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Take the repository's address from pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    config.repo_url = project["project"]["urls"]["Repository"]
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages of the reference."""
    from trainer.config import TrainingConfig

    pages = {
        "commands": commands_page(),
        "build-configuration": fields_page("Configuration of a build", BuildConfig),
        "training-configuration": fields_page("Configuration of a training", TrainingConfig),
        "tables": tables_page(),
        "drops": drops_page(),
        "python": python_page(),
    }
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Let links to files outside docs/ lead to the repository."""
    folder = PurePosixPath("docs", page.file.src_uri).parent

    def target_of(match: re.Match[str]) -> str:
        parts: list[str] = []
        for part in (*folder.parts, *PurePosixPath(match["target"]).parts):
            parts = parts[:-1] if part == ".." else [*parts, part]
        if parts[:1] == ["docs"]:
            return match[0]
        return f"]({config.repo_url}/blob/main/{'/'.join(parts)}{match['anchor'] or ''})"

    return _LINK.sub(target_of, markdown)


def commands_page() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", ""]
    lines += [
        "Exit codes: 0 done; 1 a bug; 2 wrong use or configuration; 3 bad input; 4 the environment lacks"
    ]
    lines += ["something. `kgcorpus COMMAND --help` prints the same.", ""]
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        lines += [
            f"## {name}",
            "",
            command.help or "",
            "",
            "| argument or option | meaning |",
            "| --- | --- |",
        ]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = ", ".join(f"`{option}`" for option in sorted(parameter.opts, key=len, reverse=True))
            if parameter.param_type_name == "argument":
                names = f"`{parameter.metavar or parameter.name.upper()}`"
            lines += [f"| {names} | {cell(getattr(parameter, 'help', None) or '')} |"]
        lines += [""]
    return "\n".join(lines)


def fields_page(title: str, model: type[BaseModel]) -> str:
    """Every field of a configuration with its default and meaning."""
    lines = [f"# {title}", "", "A key without a value counts as absent; an unknown key is an error.", ""]
    return "\n".join([*lines, fields_table(model), ""])


def tables_page() -> str:
    """Every table with its columns."""
    lines = [
        "# Tables",
        "",
        "Spans are `[start, end)` in Unicode code points of the row's `text`. Tables marked",
    ]
    lines += ["*published* are also shards under `OUT/data/NAME`, split into train, validation and test.", ""]
    for table in TABLES.values():
        published = " *(published)*" if table.published else ""
        lines += [
            f"## {table.name}",
            "",
            f"One row: {table.meaning}.{published} Sorted by {', '.join(table.key)}.",
            "",
        ]
        lines += ["| column | type | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}` | `{cell(str(kind))}` | {cell(meaning)} |"
            for name, (kind, meaning) in table.columns.items()
        ]
        lines += [""]
    return "\n".join(lines)


def drops_page() -> str:
    """Every reason for which a build leaves something out."""
    lines = [
        "# Reasons for drops",
        "",
        "`manifest.json`, `kgcorpus status` and the report count what each stage left out,",
    ]
    lines += ["by these reasons. A reason may end in a language code, such as `names_missing.en`.", ""]
    lines += ["| reason | what was left out |", "| --- | --- |"]
    return "\n".join(
        [*lines, *(f"| `{reason}` | {cell(meaning)} |" for reason, meaning in DROPS.items()), ""]
    )


def python_page() -> str:
    """The Python interface, from its docstrings."""
    lines = ["# Python", "", "How to use them: [From Python](../python.md).", ""]
    for title, names in _PYTHON:
        lines += [f"## {title}", "", *(f"::: {name}\n" for name in names)]
    return "\n".join(lines)
