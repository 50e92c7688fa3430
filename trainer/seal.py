"""The seal of a checkpoint: `state.json` names the SHA-256 of the other files, and of its own content."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.store import sha256_of

STATE = "state.json"


def seal(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `state.json` into a folder whose other files are complete.

    Args:
        folder: of the checkpoint.
        state: JSON values; the fields `files` and `sha256` are added.
    """
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
    sealed = {**state, "files": files}
    (folder / STATE).write_text(json.dumps({**sealed, "sha256": _digest(sealed)}), encoding="utf-8")


def read_sealed(folder: Path, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Return the state that `seal` wrote, after a comparison of every file with its hash.

    Args:
        folder: of the checkpoint.
        skip: names of files that are not read and so not compared.

    Raises:
        OSError: `state.json` or a file that it names cannot be read.
        ValueError: `state.json` is damaged, or a file has other bytes than it names.
    """
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    if not isinstance(state, dict) or not isinstance(state.get("files"), dict):
        raise ValueError(f"{STATE} does not name the files of the checkpoint")
    if state.pop("sha256", None) != _digest(state):
        raise ValueError(f"{STATE} has changed since it was written")
    for name, digest in state["files"].items():
        if name not in skip and sha256_of(folder / Path(name).name) != digest:
            raise ValueError(f"the bytes of {name} are not those that {STATE} names")
    return state


def verify_checkpoint(folder: str | Path) -> None:
    """Compare the files of a checkpoint with their hashes, `optimizer.pt` left out; ignore other folders.

    Raises:
        InputError: a file is damaged, or belongs to another checkpoint.
    """
    if not (Path(folder) / STATE).is_file():
        return
    try:
        read_sealed(Path(folder), skip=("optimizer.pt",))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"is a damaged checkpoint ({' '.join(str(error).split())})",
            where=str(folder),
            mend="Use another checkpoint of the run, or RUN/model",
        ) from None


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
