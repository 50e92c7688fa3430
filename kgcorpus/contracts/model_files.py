"""The files of a model or checkpoint that kgcorpus wrote: `state.json` names the SHA-256 of the others.

Loaders of transformers ignore it, and a folder without it is read as it is: one of the hub, of another
program, or of an older run.
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
# The largest file of a checkpoint; only a resumed training reads it.
_OPTIMIZER = "optimizer.pt"
# What loaders open; a folder may hold other things of the user's.
_READ = (".json", ".txt", ".model", ".safetensors", ".npy", ".bin", ".pt")
# Settings that people edit by hand: dropout, the padding token, the longest text.
_EDITED = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
_log = logging.getLogger(__name__)


def seal(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `state.json` into a folder whose other files are complete.

    Args:
        folder: of the model or checkpoint.
        state: JSON values; the fields `files` and `sha256` are added.
    """
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
    sealed = {**state, "files": files}
    (folder / STATE).write_text(json.dumps({**sealed, "sha256": _digest(sealed)}), encoding="utf-8")


def read_sealed(folder: Path) -> dict[str, Any]:
    """Return the state that `seal` wrote, after a comparison of every file with its hash.

    Raises:
        OSError: `state.json` or a file that it names cannot be read.
        ValueError: `state.json` is damaged, or a file has other bytes than it names.
    """
    state = _read(folder)
    _compare(folder, state["files"])
    return state


def verify_model(folder: str | Path, names: Collection[str] | None = None) -> None:
    """Compare the files of a model's folder with the hashes in its `state.json`.

    A file that is absent is accepted, because a copy may leave out what its reader does not need; a changed
    `config.json` or another file of settings gives a warning. A folder without `state.json`, or a path that
    is no folder, is accepted.

    Args:
        folder: a model's folder, or a hub id.
        names: the files to compare; default: all but `optimizer.pt`.

    Raises:
        InputError: a file has other bytes than `state.json` names, or one is a pipe or a device.
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
            mend=f"Copy or train it again; if you changed it on purpose, delete its {STATE}",
        ) from None


def _read(folder: Path) -> dict[str, Any]:
    state = parse_json((folder / STATE).read_bytes())
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
    return _sha256(os.path.realpath(path), *stamp_of(path.stat())) == digest


@lru_cache(maxsize=256)
def _warn_once(text: str) -> None:
    _log.warning("%s", text)


@lru_cache(maxsize=1024)
def _sha256(path: str, *_: int) -> str:
    """The digest of a file; a model is opened several times in a process and hashed once."""
    return sha256_of(path)


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
