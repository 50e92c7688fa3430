"""The statistics in report.json: the manifest's numbers by table and split."""

from collections.abc import Mapping
from typing import Any

from kgcorpus.contracts.manifest import File
from kgcorpus.contracts.splits import SPLITS
from kgcorpus.contracts.tally import DROPPED_TEMPLATE

PUBLISHED = "data/"
_NAMES_SHOWN = 5


def build_report(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Summarise a manifest (`Manifest.to_dict()`, the JSON of OUT/manifest.json).

    Returns:
        {"tables": {name: {"rows", "bytes", "drops", "counts", "splits", "dropped_templates"}}, "sources",
        "versions"}. `splits` (rows by split, including empty splits) is present for published tables only;
        `dropped_templates` (see the function) is present if templates were dropped.
    """
    return {
        "tables": {name: _summary(entry) for name, entry in sorted(manifest["tables"].items())},
        "sources": list(manifest["sources"]),
        "versions": dict(manifest["versions"]),
    }


def _summary(entry: Mapping[str, Any]) -> dict[str, Any]:
    files = [File(**file) for file in entry["files"]]
    summary: dict[str, Any] = {
        "rows": entry["rows"],
        "bytes": sum(file.bytes for file in files),
        "drops": dict(entry["drops"]),
        "counts": {
            name: n for name, n in entry["counts"].items() if name.partition(".")[0] != DROPPED_TEMPLATE
        },
    }
    if dropped := dropped_templates(entry["counts"]):
        summary["dropped_templates"] = dropped
    published = [file for file in files if file.path.startswith(PUBLISHED)]
    if published:
        summary["splits"] = {
            split: sum(file.rows for file in published if file.split == split) for split in SPLITS
        }
    return summary


def dropped_templates(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return language -> template name -> uses, most frequent first; the empty name sums up the rest.

    These templates occur next to other text and have no renderer. Those that carry text leave a gap in a
    sentence; a line in `wikipedia[].templates` closes it.
    """
    found: dict[str, dict[str, int]] = {}
    for count, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        kind, _, rest = count.partition(".")
        if kind == DROPPED_TEMPLATE:
            lang, _, name = rest.partition(".")
            found.setdefault(lang, {})[name] = n
    return found


def lines_of_templates(counts: Mapping[str, int]) -> list[str]:
    """Return one line for each language with its five most frequent `dropped_templates`."""
    lines = []
    for lang, names in dropped_templates(counts).items():
        listed = ", ".join([f"{name} {n:,}" for name, n in names.items() if name][:_NAMES_SHOWN])
        lines.append(
            f"templates: {sum(names.values()):,} uses in {lang} beside other text were dropped, most often "
            f"{listed}. For those that carry text add lines to wikipedia[].templates"
        )
    return lines
