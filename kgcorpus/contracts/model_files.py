"""Verification of models and checkpoints: `state.json` contains the SHA-256 of the folder's other files.

transformers ignores this file. Folders without it are accepted: models from the hub, other programs or older
runs.
"""

import hashlib
import json
import logging
import os
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from kgcorpus.contracts.digests import stamp_of
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.store import sha256_of

STATE = "state.json"
# The largest file of a checkpoint; only a resumed run reads it.
_OPTIMIZER = "optimizer.pt"
# Suffixes of files that loaders open; other files in the folder are ignored.
_READ = (".json", ".txt", ".model", ".safetensors", ".npy", ".bin", ".pt")
# Settings that users edit by hand, such as dropout, padding token and maximum length.
_EDITED = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
_log = logging.getLogger(__name__)


def seal(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `state.json` into a folder whose other files are complete.

    Args:
        folder: folder of the model or checkpoint.
        state: JSON-like values; the fields `files` and `sha256` are added.
    """
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
    sealed = {**state, "files": files}
    (folder / STATE).write_text(json.dumps({**sealed, "sha256": _digest(sealed)}), encoding="utf-8")


def read_sealed(folder: Path) -> dict[str, Any]:
    """Verify all files and return the state that `seal` wrote.

    Raises:
        InputError: `state.json` or a listed file is a pipe or a device.
        OSError: `state.json` or a listed file cannot be read.
        ValueError: `state.json` is damaged, or a file does not match its hash.
    """
    state = _read(folder)
    _compare(folder, state["files"])
    return state


def verify_model(folder: str | Path, names: Collection[str] | None = None) -> None:
    """Compare the files of a model's folder with the hashes in its `state.json`.

    Missing files are accepted, because a copy may omit files that its reader does not need. A changed
    `config.json` or other settings file gives a warning. Folders without `state.json`, and names that are not
    folders, are accepted.

    Args:
        folder: a model's folder, or a hub id.
        names: files to compare; default: all but `optimizer.pt`.

    Raises:
        InputError: a file does not match its hash, or is a pipe or a device.
    """
    place = Path(folder)
    if not place.is_dir():
        return
    for path in place.iterdir():
        if path.suffix in _READ and path.exists() and not path.is_dir():
            require_regular_file(path)
    if not (place / STATE).is_file():
        return
    try:
        files = _read(place)["files"]
        chosen = set(files) - {_OPTIMIZER} if names is None else set(files) & set(names)
        there = [name for name in sorted(chosen) if (place / Path(name).name).exists()]
        _compare(place, {name: files[name] for name in there if name not in _EDITED})
        for name in there:
            if name in _EDITED and not _is_whole(place / name, files[name]):
                _warn_once(f"{folder}: {name} has changed since the model was written")
    except (OSError, ValueError) as error:
        raise InputError(
            f"is damaged ({' '.join(str(error).split())})",
            where=str(folder),
            hint=f"Copy or train it again; if you changed it on purpose, delete its {STATE}",
        ) from None


def _read(folder: Path) -> dict[str, Any]:
    path = folder / STATE
    if path.exists():
        require_regular_file(path)
    state = parse_json(path.read_bytes())
    if not isinstance(state, dict) or not isinstance(state.get("files"), dict):
        raise ValueError(f"{STATE} does not name the files of the folder")
    if state.pop("sha256", None) != _digest(state):
        raise ValueError(f"{STATE} has changed since it was written")
    return state


def _compare(folder: Path, files: Mapping[str, Any]) -> None:
    for name, digest in files.items():
        if not _is_whole(folder / Path(name).name, digest):
            raise ValueError(f"the bytes of {name} are not those that {STATE} names")


def _is_whole(path: Path, digest: object) -> bool:
    path.stat()  # FileNotFoundError, before the error of a pipe
    return _sha256(os.path.realpath(path), *stamp_of(require_regular_file(path))) == digest


@lru_cache(maxsize=256)
def _warn_once(text: str) -> None:
    _log.warning("%s", text)


@lru_cache(maxsize=1024)
def _sha256(path: str, *_: int) -> str:
    """Digest of a file, cached because a process opens a model several times."""
    return sha256_of(path)


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
