"""Writing of OUT/report.json and OUT/README.md."""

import json
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.store import write_text
from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.card import render_card
from kgcorpus.report.distributions import DISTRIBUTIONS, reader_of, rows_by_language
from kgcorpus.report.statistics import build_report


def write_report(out: Path, manifest: Manifest, *, place: str | Path = "") -> dict[str, Any]:
    """Write OUT/report.json and OUT/README.md from the manifest and OUT/config.yaml.

    Args:
        place: the path or URL below which the tables are; default: OUT.

    Returns:
        The contents of report.json.

    Raises:
        InputError: config.yaml is missing or damaged.
    """
    config = out / "config.yaml"
    hint = "Run kgcorpus build-corpus again"
    if not config.is_file():
        raise InputError("is missing", where=str(config), hint=hint)
    data = manifest.to_dict()
    try:
        resolved = config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is damaged ({error})", where=str(config), hint=hint) from None
    report = build_report(data)
    read = reader_of({name: manifest.files(place or out, name) for name in manifest.tables})
    for name in DISTRIBUTIONS.keys() & manifest.tables.keys():
        report["tables"][name]["distributions"] = DISTRIBUTIONS[name](read)
    for name in manifest.tables:
        if name in TABLES and "lang" in TABLES[name].columns:
            report["tables"][name]["languages"] = rows_by_language(read, name)
    write_text(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "README.md", render_card(data, config_yaml=resolved, report=report))
    return report
