"""RUN/model/README.md: the card of a trained model, with the results in RUN/results."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.hub_ids import split_revision
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.model_files import STATE
from kgcorpus.contracts.store import write_text
from kgcorpus.contracts.yaml_reader import read_yaml
from kgcorpus.report.card import escape
from kgcorpus.report.front_matter import hub_languages, licences_of
from kgcorpus.report.markdown import markdown_table
from kgcorpus.report.statistics import build_report

RESULTS = "results"
_START, _END = "<!-- results -->", "<!-- /results -->"
_NO_RESULTS = (
    "None yet. `kgcorpus evaluate BENCHMARK --model RUN/model --data DATA --out RUN/results/BENCHMARK.json` "
    "adds them."
)
_MOST_SCORES = 40
_SETTINGS = {"config", "seed", "seeds", "selection", "values"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?(@[\w.-]+)?")
_PAPERS = {
    "kmlm": "KMLM (arXiv 2111.10962)",
    "trelm": "TRELM (arXiv 2403.11203)",
    "jaket": "JAKET (arXiv 2010.00796)",
}
_FILL_MASK = """\
from transformers import pipeline
fill = pipeline("fill-mask", model="path/to/this/folder")
for guess in fill(f"Paris is the capital of {fill.tokenizer.mask_token}."):
    print(guess["token_str"], round(guess["score"], 3))
"""
_JAKET = """\
from transformers import AutoTokenizer
from trainer.jaket.model import JaketModel
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
model = JaketModel.from_pretrained("path/to/this/folder")
"""


def write_model_card(run: Path, *, corpus: Path) -> None:
    """Write RUN/model/README.md.

    Args:
        run: a run's folder with run.json and model/.
        corpus: the build that it was trained on; parts that cannot be read are left out.
    """
    about = _json(run / "run.json")
    objective = str(about.get("objective", ""))
    base = about.get("paths", {}).get("base_model")
    # Of a model of the hub, `commit ` and the commit that was read.
    commit = str(about.get("base_model") or "")
    is_on_hub = base is not None and _HUB_ID.fullmatch(base) is not None and not Path(base).exists()
    # Of a folder only the last name: its path is of no use elsewhere.
    name = base if base is None or is_on_hub else Path(base).name
    tables, languages, licences = _corpus(corpus, about.get("corpus", {}))
    head: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "license": "other",
        **({"language": hub_languages(languages)} if languages else {}),
        **({"base_model": split_revision(base)[0]} if is_on_hub else {}),
        "tags": ["kgcorpus", "knowledge-graph", objective],
    }
    settings = yaml.safe_dump(about.get("config", {}), sort_keys=False, allow_unicode=True).rstrip()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", settings)), default=0))
    of_base = ", and the base model keeps its own licence" if base else ""
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
        f"# {_PAPERS.get(objective, escape(objective))}, trained by kgcorpus",
        f"- Base: {escape(name) if name else 'none, trained from scratch'}"
        f"{f', {escape(commit)}' if is_on_hub else ''}\n"
        f"- Steps: {_json(run / 'model' / STATE).get('step', 'unknown')}\n"
        f"- Languages of the data: {escape(', '.join(languages)) or 'unknown'}",
        f"```python\n{_JAKET if objective == 'jaket' else _FILL_MASK}```",
        "## Data\n\n" + markdown_table(("table", "rows", "digest"), tables),
        f"## Results\n\n{_START}\n{_results(run)}\n{_END}",
        f"## Licence\n\nThe data are under {escape(', '.join(licences)) or 'unknown licences'}{of_base}. "
        "Whoever publishes the weights decides what follows for them.",
        f"## Settings\n\n{fence}yaml\n{settings}\n{fence}",
    ]
    write_text(run / "model" / "README.md", "\n\n".join(parts) + "\n")


def add_results(run: Path) -> bool:
    """Write the scores in RUN/results into the card that `write_model_card` wrote.

    Returns:
        Whether there is such a card.
    """
    path = run / "model" / "README.md"
    if not path.is_file():
        return False
    before, start, rest = path.read_text(encoding="utf-8").partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end:
        return False
    write_text(path, f"{before}{_START}\n{_results(run)}\n{_END}{after}")
    return True


def _results(run: Path) -> str:
    """Tables of the results that are not older than the model; a benchmark may have several files."""
    model = run / "model" / STATE
    made = model.stat().st_mtime if model.is_file() else 0.0
    shown = []
    for path in sorted((run / RESULTS).glob("*.json")):
        result = _json(path)
        if "benchmark" not in result or path.stat().st_mtime < made:
            continue
        rows = [[escape(name), score] for name, score in _scores(result)][:_MOST_SCORES]
        shown.append(f"### {escape(path.stem)}\n\n{markdown_table(('score', 'value'), rows)}")
    return "\n\n".join(shown) or _NO_RESULTS


def _scores(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield scores with their intervals or deviations, e.g. `accuracy.de`, `0.5230 ± 0.0110 (5 seeds)`."""
    if {"accuracy", "baseline", "difference", "interval", "n"} <= node.keys():
        low, high = node["interval"]
        text = f"{node['accuracy']:.4f}, baseline {node['baseline']:.4f}, n = {node['n']:,}"
        yield prefix or "accuracy", f"{text}, difference {node['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    elif {"mean", "deviation", "values"} <= node.keys():
        seeds = len(node["values"])
        yield prefix or "mean", f"{node['mean']:.4f} ± {node['deviation']:.4f} ({seeds} seeds)"
    else:
        for key, value in node.items():
            name = f"{prefix}.{key}" if prefix else key
            if key in _SETTINGS or key.endswith("selection"):
                continue
            if isinstance(value, Mapping):
                yield from _scores(value, name)
            elif isinstance(value, float):
                yield name, f"{value:.4f}"
            elif key == "n" and isinstance(value, int):
                yield name, f"{value:,}"


def _corpus(corpus: Path, digests: Mapping[str, Any]) -> tuple[list[list[str]], list[str], list[str]]:
    """The tables that were read (name, rows, digest), the languages and the licences of a corpus."""
    rows: dict[str, str] = {}
    languages: list[str] = []
    licences: list[str] = []
    try:
        manifest = load_manifest(corpus, required=True)
        rows = {name: f"{entry.rows:,}" for name, entry in manifest.tables.items()}
        report = _json(corpus / "report.json") or build_report(manifest.to_dict())
        licences = sorted({licence for name in digests for licence in licences_of(name, report)})
        languages = [str(lang) for lang in read_yaml(corpus / "config.yaml")["languages"]]
    except (KgcorpusError, OSError, KeyError, TypeError, ValueError):
        # A corpus in a store, or of another version, may lack what only the card needs.
        pass
    listed = [[escape(name), rows.get(name, ""), str(digests[name])[:16]] for name in sorted(digests)]
    return listed, languages, licences


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file is missing, damaged or something else."""
    try:
        require_regular_file(path)
        found = parse_json(path.read_bytes())
    except (KgcorpusError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
