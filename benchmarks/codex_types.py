"""CoDEx's archive to a types table: `QID typeQID...`, as `graph.types` reads it.

python benchmarks/codex_types.py codex-s-m.tar.xz codex-types.tsv
"""

import argparse
import json
import tarfile
from pathlib import Path

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.store import replacing

MEMBER = "types/entity2types.json"


def types_of(archive: Path) -> dict[str, list[str]]:
    """Entity -> its classes, from `data/types/entity2types.json` in the archive.

    Raises:
        InputError: the archive has no such member.
    """
    with tarfile.open(archive) as members:
        found = next((m for m in members if m.isfile() and m.name.endswith(MEMBER)), None)
        stream = members.extractfile(found) if found else None
        if stream is None:
            raise InputError(f"holds no {MEMBER}", where=str(archive))
        types: dict[str, list[str]] = json.load(stream)
    return types


def write_types(archive: Path, out: Path) -> int:
    """Write the table, in the order of the Q numbers; the number of its rows."""
    rows = sorted(types_of(archive).items(), key=lambda row: int(row[0][1:]))
    with replacing(out) as temporary:
        temporary.write_text("".join("\t".join([qid, *kinds]) + "\n" for qid, kinds in rows if kinds))
    return sum(bool(kinds) for _, kinds in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    print(f"{write_types(arguments.archive, arguments.out):,} rows in {arguments.out}")
