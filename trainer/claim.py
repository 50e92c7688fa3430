"""RUN/run.json: what a run was started with, so that a folder never holds two different ones."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.places import RUN_FOLDERS, RUN_SIGN
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.store import write_text

# What a run replaces, or takes for what it has made. Its `kge`, a run, and its `corpus`, a copy, have their
# own signs.
_WRITTEN = ("model", "tokenizer", "checkpoints", "metrics.jsonl", "routes.jsonl", "triples")


def refuse_foreign(out: Path) -> None:
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
            mend="Choose another --out",
        )


def claim(out: Path, identity: dict[str, Any]) -> None:
    """Write RUN/run.json, or check that the folder's run is this one.

    Args:
        out: the run's folder.
        identity: all that the result depends on, as JSON; versions are added, and not compared.

    Raises:
        UsageError: the folder holds another run, or is refused as by `refuse_foreign`.
        InputError: its run.json is damaged.
    """
    path = out / RUN_SIGN
    identity = redact_all(identity)
    refuse_foreign(out)
    if not path.exists():
        versions = {name: version(name) for name in ("torch", "transformers", "accelerate", "tokenizers")}
        write_text(path, json.dumps({**identity, "versions": versions}, indent=1) + "\n")
        return
    try:
        before: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError
    except ValueError:
        raise InputError(
            "is not what a run was started with", where=str(path), mend="Choose another --out"
        ) from None
    differing = list(_differences(before, identity))
    if differing:
        raise UsageError(
            f"holds a run with another {', '.join(differing)}", where=str(out), mend="Choose another --out"
        )


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(now):
        old, new = before.get(key), now[key]
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, {**dict.fromkeys(old), **new}, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"
