"""RUN/run.json: the settings that a run was started with, so that a folder never contains two runs."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.places import RUN_FOLDERS, RUN_SIGN
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.store import write_text

# Names that a run replaces or reads as its own. Its `kge`, a run, and its `corpus`, a copy, have their
# own signs.
_WRITTEN = ("model", "best", "tokenizer", "checkpoints", "metrics.jsonl", "routes.jsonl", "triples")
# Where a run found what it read; digests tell whether it is the same.
_PATHS = "paths"


def refuse_foreign_folder(out: Path) -> None:
    """See that a folder is a run's, or holds nothing that a run would replace.

    Raises:
        UsageError: it has no run.json, and holds such things; or a folder that a run writes is a link.
    """
    refuse_links(out, *RUN_FOLDERS)
    # Weights & Biases keeps links of its own in it.
    refuse_links(out, "wandb", enter=False)
    foreign = [name for name in _WRITTEN if (out / name).exists()]
    if foreign and not (out / RUN_SIGN).exists():
        raise UsageError(
            f"holds {', '.join(foreign)} but no {RUN_SIGN}, so it is no run of ours",
            where=str(out),
            hint="Choose another --out",
        )


def ensure_same_run(
    out: Path, identity: dict[str, Any], *, paths: dict[str, str | None] | None = None
) -> None:
    """Write RUN/run.json, or check that the folder's run is this one.

    Args:
        out: the run's folder.
        identity: all that the result depends on, as JSON: files by their digests. Versions are added, and not
            compared.
        paths: where the files were found; written for the reader, and not compared.

    Raises:
        UsageError: the folder holds another run, or is refused as by `refuse_foreign_folder`.
        InputError: its run.json is damaged.
    """
    path = out / RUN_SIGN
    identity = redact_all(identity)
    refuse_foreign_folder(out)
    if not path.exists():
        versions = {name: version(name) for name in ("torch", "transformers", "accelerate", "tokenizers")}
        _write(path, {**identity, _PATHS: redact_all(paths or {}), "versions": versions})
        return
    _refuse_differing(out, _read(path), identity)


def ensure_same_content(out: Path, name: str, digest: str) -> None:
    """Add the digest of what a run made or read to RUN/run.json, or check that it is the same.

    Args:
        out: the run's folder, already claimed.
        name: of the setting or folder, e.g. `tokenizer`.
        digest: of its content.

    Raises:
        UsageError: the run read another content before.
        InputError: its run.json is damaged.
    """
    path = out / RUN_SIGN
    before = _read(path)
    if name not in before:
        _write(path, {name: digest, **before})
    else:
        _refuse_differing(out, before, {name: digest})


def _read(path: Path) -> dict[str, Any]:
    require_regular_file(path)
    try:
        before: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError
    except ValueError:
        raise InputError(
            "is not what a run was started with", where=str(path), hint="Choose another --out"
        ) from None
    return before


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def _refuse_differing(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    differing = list(_differences(before, now))
    if differing:
        raise UsageError(
            f"holds a run with another {', '.join(differing)}", where=str(out), hint="Choose another --out"
        )


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(now):
        old, new = before.get(key), now[key]
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, {**dict.fromkeys(old), **new}, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"
