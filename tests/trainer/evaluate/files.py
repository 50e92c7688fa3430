"""Files of benchmarks: written by hand, or unpacked from the real data."""

import tarfile
from pathlib import Path


def unpack(real_data: Path, archive: str, folder: Path) -> Path:
    with tarfile.open(real_data / archive) as packed:
        packed.extractall(folder)
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
