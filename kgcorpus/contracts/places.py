"""Names of the files and folders that builds and runs replace or delete; other output is refused there."""

from pathlib import Path

from kgcorpus.contracts.errors import UsageError

BUILD_FOLDERS = ("data", "tables", "tokens", "quarantine", "cache", "scratch")
PROGRESS = "progress.json"
BUILD_FILES = ("README.md", "config.yaml", "report.json", "report.html", "run.json", PROGRESS, "spark.log")
# A build writes .sources.json before its first shard, and manifest.json after each stage.
BUILD_SIGNS = ("manifest.json", ".sources.json")
RUN_FOLDERS = ("model", "best", "tokenizer", "checkpoints", "triples", "kge", "corpus", "tensorboard")
RUN_FILES = ("metrics.jsonl", "routes.jsonl", "curves.png", "curves.svg", "report.html")
RUN_SIGN = "run.json"
LOCK = ".lock"
# Other programs write files of these names too, so the first bytes are compared.
_MANIFEST_BEGINS, _RUN_BEGINS, _PROGRESS_BEGINS = b'"format":', b'"objective":', b'"command":'


def is_build(folder: Path) -> bool:
    """Whether the folder contains a build, a started build, or a copy of one."""
    return (folder / BUILD_SIGNS[1]).exists() or _begins(folder / BUILD_SIGNS[0], _MANIFEST_BEGINS)


def is_run(folder: Path) -> bool:
    """Whether the folder contains a training run."""
    return _begins(folder / RUN_SIGN, _RUN_BEGINS)


def is_progress(path: Path) -> bool:
    """Whether the file is the `progress.json` of a command, which a build may leave before all else."""
    return path.name == PROGRESS and _begins(path, _PROGRESS_BEGINS)


def refuse_replaced(target: Path) -> None:
    """Check that a path to be written is not one that a build or a run replaces or deletes.

    Raises:
        UsageError: the path is at or below such a name in the folder of a build or a run.
    """
    path = target.resolve()
    for parent in path.parents:
        if is_build(parent):
            work, names = "build", {*BUILD_FOLDERS, *BUILD_FILES, *BUILD_SIGNS, LOCK}
        elif is_run(parent):
            work, names = "run", {*RUN_FOLDERS, *RUN_FILES, RUN_SIGN, LOCK}
        else:
            continue
        if (name := path.relative_to(parent).parts[0]) in names:
            raise UsageError(
                f"lies at {name} in the folder of a {work}, which replaces or deletes it",
                where=str(target),
                hint="Choose another place",
            )


def refuse_overlap(target: Path, folder: Path) -> None:
    """Check that two folders are different and neither contains the other.

    Raises:
        UsageError: they overlap.
    """
    inner, outer = target.resolve(), folder.resolve()
    if _same(inner, outer):
        relation = "is"
    elif any(_same(place, outer) for place in inner.parents):
        relation = "lies in"
    elif any(_same(place, inner) for place in outer.parents):
        relation = "holds"
    else:
        return
    raise UsageError(
        f"{relation} the build's folder {folder}", where=str(target), hint="Choose another place"
    )


def _same(one: Path, other: Path) -> bool:
    return one == other or (one.exists() and other.exists() and one.samefile(other))


def _begins(path: Path, key: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            return key in stream.read(64)
    except OSError:
        return False
