"""report.json: the manifest's numbers, summed up by table and split."""

from collections.abc import Mapping
from typing import Any

from kgcorpus.contracts.manifest import File
from kgcorpus.contracts.splits import SPLITS

PUBLISHED = "data/"


def build_report(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up a manifest (`Manifest.to_dict()`, the JSON of OUT/manifest.json).

    Returns:
        {"tables": {name: {"rows", "bytes", "drops", "counts", "splits"}}, "sources", "versions"}; `splits`,
        rows by split, stands at published tables only and names all three, empty ones too.
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
        "counts": dict(entry["counts"]),
    }
    published = [file for file in files if file.path.startswith(PUBLISHED)]
    if published:
        summary["splits"] = {
            split: sum(file.rows for file in published if file.split == split) for split in SPLITS
        }
    return summary
