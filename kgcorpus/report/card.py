"""OUT/README.md: the dataset card of a build, with the configs that `datasets.load_dataset` opens."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.splits import SPLITS
from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.yaml_reader import parse_yaml
from kgcorpus.report.front_matter import front_matter, licences_of
from kgcorpus.report.markdown import markdown_table
from kgcorpus.report.statistics import build_report
from kgcorpus.report.visible import visible

# An underscore inside a word is plain text in Markdown and stays unescaped, so table names remain readable.
_MARKDOWN = re.compile(r"[\\`*\[\]|~#]|(?<![^\W_])_|_(?![^\W_])")
# Dumps are named by their date: enwiki-20200301-pages-articles.xml.bz2.
_DATE = re.compile(r"(?<![0-9])(20[0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])(?![0-9])")

_ATTRIBUTION = """\
- Text and titles from Wikipedia are under CC BY-SA 4.0 (older dumps: 3.0): name the source and share what you
  make of them under the same licence. The config `sources` has one row for each page that text is from, with
  its title, revision and the URL of that revision, whose history lists the authors. The `id` of a row of
  `plain_text`, `trelm` or `jaket_text` is `kind:lang:page:ordinal`; `page` of a row of `jaket_entities` is a
  page in the base language, the first of `languages`. Look up (lang, page) in all splits of `sources`.
- Facts, labels and aliases from Wikidata are CC0.
- Files of your own, and graphs from elsewhere, keep the licence they came with (`other` above).
"""


def render_card(
    manifest: Mapping[str, Any], *, config_yaml: str, report: Mapping[str, Any] | None = None
) -> str:
    """Render the card of a build; equal builds have equal cards.

    Args:
        manifest: `Manifest.to_dict()`.
        config_yaml: the resolved configuration (OUT/config.yaml).
        report: the contents of report.json; default: those that follow from the manifest.

    Returns:
        Markdown with YAML front matter. The front matter lists only configs and splits that have rows,
        because `datasets` cannot open an empty split. Text from data is escaped.
    """
    report = report or build_report(manifest)
    tables = report["tables"]
    configs = {
        name: table["splits"] for name, table in tables.items() if any(table.get("splits", {}).values())
    }
    languages = _languages(config_yaml)
    parts = [
        front_matter(configs, report, languages=languages),
        "# Pretraining corpus of text and knowledge graph\n\n"
        "Built by kgcorpus. Spans are `[start, end)` in Unicode code points of the row's `text`."
        f"{_sentence(languages)}\n",
        "## Rows\n\n" + _rows(configs, report),
        _loading(configs),
        "".join(_columns(name) for name in configs if name in TABLES),
        "## Sources\n\n"
        + _grid(
            ("role", "file", "date in its name", "bytes", "sha256"),
            (_source(entry) for entry in report["sources"]),
        ),
        "## How it was made\n\n" + _made(manifest, config_yaml),
        "## What was left out\n\n" + _drops(tables),
        "## Licences\n\n" + _ATTRIBUTION,
    ]
    return "\n".join(part for part in parts if part)


def _languages(config_yaml: str) -> list[str]:
    """The configured languages, the base language first; empty if the configuration names none."""
    try:
        return [str(lang) for lang in parse_yaml(config_yaml, where="config.yaml")["languages"]]
    except (UsageError, KeyError, TypeError, ValueError):
        return []


def _sentence(languages: Sequence[str]) -> str:
    """A sentence that names the languages; empty without any."""
    if not languages:
        return ""
    base, *others = languages
    further = f"; further languages of labels: {escape(', '.join(others))}" if others else ""
    return f" The base language is {escape(base)}{further}."


def _rows(configs: Mapping[str, Mapping[str, int]], report: Mapping[str, Any]) -> str:
    rows = (
        [
            escape(name),
            _prose(TABLES[name].meaning) if name in TABLES else "",
            *(f"{splits[s]:,}" for s in SPLITS),
            ", ".join(licences_of(name, report)),
        ]
        for name, splits in configs.items()
    )
    return _grid(("config", "one row is", *SPLITS, "licence"), rows)


def _loading(configs: Mapping[str, Mapping[str, int]]) -> str:
    if not configs:
        return ""
    name, splits = next(iter(configs.items()))
    split = next(split for split in SPLITS if splits[split])
    call = f'load_dataset("path/to/this/folder", "{name}", split="{split}")'
    return f"```python\nfrom datasets import load_dataset\n\nrows = {call}\n```\n"


def _columns(name: str) -> str:
    rows = (
        [f"`{column}`", f"`{kind}`", _prose(meaning)]
        for column, (kind, meaning) in TABLES[name].columns.items()
    )
    return f"### {escape(name)}\n\n{_grid(('column', 'type', 'meaning'), rows)}\n"


def _made(manifest: Mapping[str, Any], config_yaml: str) -> str:
    stages = (
        _data(name, entry["fingerprint"], f"{entry['rows']:,}")
        for name, entry in sorted(manifest["tables"].items())
    )
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest["versions"].items()))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", config_yaml)), default=0))
    return (
        "With these inputs in place, `kgcorpus build-corpus --config config.yaml --out OUT` makes the same "
        "bytes again; config.yaml is the configuration below.\n\n"
        f"{_grid(('table', 'fingerprint of its stage', 'rows'), stages)}\n"
        f"Versions that can change a result: {escape(versions) or 'none'}.\n\n"
        f"The configuration, as resolved:\n\n{fence}yaml\n{config_yaml.rstrip()}\n{fence}\n"
    )


def _drops(tables: Mapping[str, Mapping[str, Any]]) -> str:
    rows = (
        _data(name, reason, f"{n:,}")
        for name, table in tables.items()
        for reason, n in sorted(table["drops"].items(), key=lambda item: (-item[1], item[0]))
    )
    return _grid(("table", "reason", "count"), rows)


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table of Markdown cells; without rows, the text "None."."""
    body = list(rows)
    return markdown_table(header, body) + "\n" if body else "None.\n"


def _data(*cells: str) -> list[str]:
    return [escape(cell) for cell in cells]


def _prose(text: str) -> str:
    """Escape our own Markdown text for a table cell."""
    return text.replace("|", "\\|")


def escape(text: str) -> str:
    """Escape text for Markdown and HTML, on one line."""
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(visible(text), quote=False))


def _source(entry: Mapping[str, Any]) -> list[str]:
    # A manifest of others may lack some of these.
    role, file, digest = (entry.get(key, "") for key in ("role", "file", "sha256"))
    date = _DATE.search(file)
    return _data(role, file, "-".join(date.groups()) if date else "", f"{entry.get('bytes', 0):,}", digest)
