"""Digests of the files and models that a run reads, so that a replaced file is noticed."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from kgcorpus.contracts.digests import SEAL
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.model_files import STATE
from kgcorpus.contracts.store import sha256_of
from trainer.pretrained import commit_of

# Files of a model's folder that a reader opens; a README or a log beside them changes no result.
_READ = (".json", ".txt", ".model", ".safetensors", ".npy")
# The digest of a model of the hub begins so.
COMMIT = "commit "


def digest_of_file(path: str | Path, *, where: str) -> str:
    """The SHA-256 of a file.

    Args:
        path: of the file.
        where: the setting that names it, for the error.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if Path(path).exists():
            require_regular_file(path)
        return sha256_of(path)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=f"{where} {path}", hint="Correct the path"
        ) from None


def digest_of_folder(folder: Path, *, suffixes: tuple[str, ...] = (), pattern: str = "*") -> str:
    """One SHA-256 of the names and bytes of a folder's files, in the order of their names.

    Args:
        folder: where.
        pattern: of the paths; by default files of the folder itself.
        suffixes: of the files that count; none: every file whose name does not begin with a dot.
    """
    chosen = (
        path
        for path in sorted(folder.glob(pattern))
        if path.is_file()
        # Stamps of a cache's files, which differ from copy to copy; hashes of a model's files.
        and path.name not in (SEAL, STATE)
        and (path.suffix in suffixes if suffixes else not path.name.startswith("."))
    )
    return _joined(f"{path.relative_to(folder)} {sha256_of(path)}" for path in chosen)


def digest_of_model(source: str) -> str:
    """The content of a model: of a folder its files' digest, of a hub id the commit that is read.

    Raises:
        UsageError: neither a folder nor a hub id that can be read.
    """
    if Path(source).is_dir():
        return digest_of_folder(Path(source), suffixes=_READ)
    return f"{COMMIT}{commit_of(source, where=f'base_model {source}')}"


def digest_of_data(source: str) -> str:
    """The content of a benchmark's data: of a build its tables, else the bytes of the file or folder.

    Raises:
        InputError: it cannot be read.
    """
    folder = Path(source)
    if (folder / "manifest.json").exists():
        tables = load_manifest(folder).tables
        return _joined(f"{name} {tables[name].digest}" for name in sorted(tables))
    if folder.is_dir():
        return digest_of_folder(folder, pattern="**/*")
    return digest_of_file(source, where="data")


def _joined(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
