"""The lock file of the stages' code: `python -m tests.contracts.versions` rewrites it.

A line is `<stage> version <n>` or `<stage> <module> <hash>`; lines of several branches may be joined.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from pipelines.stages import STAGES
from tests.contracts.reached import Definition, Reach

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("versions.lock")
EVERY = "every_stage"
# What runs around each stage: its methods of reading, the shards' count and bytes, Spark's settings.
AROUND: tuple[Definition, ...] = (
    ("pipelines.context", "Context"),
    ("pipelines.bound", "shard_counts"),
    ("pipelines.session", "_ALWAYS"),
    ("pipelines.writer", "write_shards"),
)
_CONFIRM = "python -m tests.contracts.versions"


def locked_code(root: Path = ROOT, stages: Iterable[Stage] = STAGES) -> dict[tuple[str, str], str]:
    """(stage, file) -> hash of the stage's code there; code that all stages run is under `EVERY`."""
    reach = Reach(root)
    around = reach.from_definitions(AROUND)
    found = {(EVERY, _file(module)): digest for module, digest in reach.hashes(around).items()}
    for stage in stages:
        reached = reach.from_definitions([(stage.run.__module__, stage.run.__name__)])
        hashes = reach.hashes(reached - around)
        found |= {(stage.table, _file(module)): digest for module, digest in hashes.items()}
        found[stage.table, "contracts/tables.py"] = _hash_of_table(stage.table)
    return found


def changes(lines: Iterable[str], code: dict[tuple[str, str], str], versions: dict[str, int]) -> list[str]:
    """One message for each stage whose code is not in the lock's lines."""
    locked = set(lines)
    told = []
    for stage, version in {EVERY: 0, **versions}.items():
        files = [
            file
            for (name, file), digest in code.items()
            if name == stage and _line(stage, file, digest) not in locked
        ]
        if stage != EVERY and _line(stage, "version", version) not in locked:
            told.append(f"{stage}: version {version} is not in {LOCK.name}; write it: {_CONFIRM}")
        elif files:
            raised = "the version" if stage != EVERY else "all versions"
            choice = f"raise {raised}, or confirm that the bytes are the same: {_CONFIRM}"
            told.append(f"{stage}: {', '.join(files)} changed; {choice}")
    return told


def lines_of(code: dict[tuple[str, str], str], versions: dict[str, int]) -> list[str]:
    """The lock's lines, sorted."""
    return sorted(
        [_line(stage, file, digest) for (stage, file), digest in code.items()]
        + [_line(stage, "version", version) for stage, version in versions.items()]
    )


def versions_of(stages: Iterable[Stage] = STAGES) -> dict[str, int]:
    """Stage -> version."""
    return {stage.table: stage.version for stage in stages}


def _line(stage: str, what: str, value: object) -> str:
    return f"{stage} {what} {value}"


def _file(module: str) -> str:
    path = module.removeprefix("kgcorpus.").replace(".", "/")
    return f"{path}.py"


def _hash_of_table(name: str) -> str:
    made = table(name)
    columns = [(field.name, str(field.type)) for field in made.schema]
    parts = (columns, made.key, made.shard_by, made.published, made.rows_per_shard)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


if __name__ == "__main__":
    old = LOCK.read_text(encoding="utf-8").splitlines() if LOCK.exists() else []
    new = lines_of(locked_code(), versions_of())
    LOCK.write_text("\n".join(new) + "\n", encoding="utf-8")
    print("\n".join(f"+ {line}" for line in sorted(set(new) - set(old))) or "nothing changed")
