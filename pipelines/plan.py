"""What a build would do: run, skip or leave each stage. Needs no JVM."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.digests import MEMORY, FileDigests, Stamp, stamp_of
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.manifest import Manifest, TableEntry, file_fault
from kgcorpus.contracts.remote import describe, is_remote, sha256_of_url
from kgcorpus.contracts.secrets import redact
from kgcorpus.contracts.stages import (
    Source,
    Stage,
    config_value,
    content_digest,
    fingerprint,
    params_of,
    sources_of,
)
from kgcorpus.contracts.store import sha256_of
from kgcorpus.contracts.tables import table
from pipelines.changes import reason as reason_of_change
from pipelines.sources import refuse_repeated
from pipelines.stages import STAGES

BY_TABLE = {stage.table: stage for stage in STAGES}
# These may name a model of the hub instead of a folder.
MODEL_ROLES = ("importance.encoder", "passages.tokenizer")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Step:
    """A stage and what is to be done about it; `fingerprint` is unknown while an input is to be rebuilt."""

    stage: str
    action: str
    reason: str
    fingerprint: str | None = None
    forced: bool = False


def require_input(source: Source) -> None:
    """Check that a local source can be read; a URL is looked at when it is.

    Raises:
        InputError: there is no such file, or it is neither a regular file nor, of a model, a folder.
    """
    path = Path(source.path)
    if is_remote(source.path):
        return
    if not path.exists():
        if source.role in MODEL_ROLES and _HUB_ID.fullmatch(source.path):
            return
        raise InputError(
            "no such file", where=source.path, mend=f"Correct {source.role} in the configuration"
        )
    if not (source.role in MODEL_ROLES and path.is_dir()):
        require_regular_file(path)


class SourceDigests:
    """Content digests of sources; in one build, each source has one content.

    Attributes:
        files: of the sources and of the build's tables; kept in OUT/.sources.json.
    """

    def __init__(self, out: Path) -> None:
        self.files = FileDigests(out / MEMORY)
        # Key -> (stamp, digest) of the first look.
        self._first: dict[str, tuple[Stamp, str]] = {}

    def digest(self, source: Source) -> str:
        """sha256 of a file; of a model's folder, over its files; of a hub id, the id itself.

        Raises:
            InputError: there is no such file, it is not a regular one, or it has changed since the first
                call.
        """
        if is_remote(source.path):
            found = describe(source.path)
            stamp = [found.size, found.stamp]
            return self._unchanged(redact(source.path), stamp, lambda: sha256_of_url(source.path))
        require_input(source)
        path = Path(source.path)
        if path.is_dir():
            files = [file for file in path.iterdir() if file.is_file()]
            return content_digest([(file.name, self._file(file)) for file in files])
        return self._file(path) if path.exists() else f"hub:{source.path}"

    def size(self, source: Source) -> int:
        """Bytes of a file, or of a folder's files; 0 for a hub id."""
        if is_remote(source.path):
            return describe(source.path).size
        path = Path(source.path)
        if path.is_dir():
            return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        return path.stat().st_size if path.exists() else 0

    def were_known(self, sources: Sequence[Source]) -> bool:
        """Whether no file of these was hashed in this build: an earlier one has seen them as they are."""
        paths = [Path(source.path) for source in sources]
        files = [file for path in paths for file in (path.iterdir() if path.is_dir() else (path,))]
        keys = {redact(source.path) for source in sources} | {self.files.key(file) for file in files}
        return keys.isdisjoint(self.files.hashed)

    def _file(self, path: Path) -> str:
        stamp = stamp_of(require_regular_file(path))
        return self._unchanged(self.files.key(path), stamp, lambda: sha256_of(path))

    def _unchanged(self, key: str, stamp: Stamp, hash_file: Callable[[], str]) -> str:
        digest = self.files.remembered(key, stamp, hash_file)
        first = self._first.setdefault(key, (stamp, digest))
        # A new link to a file, or new rights, change the last part of its stamp alone.
        if first[0][:-1] != stamp[:-1] or first[1] != digest:
            raise InputError(
                "changed while it was read",
                where=key,
                mend="Wait until it is complete, then run the same command",
            )
        return digest


def unavailable(stage: Stage, config: BuildConfig) -> str | None:
    """Why the configuration does not allow this stage, or None."""
    if stage.needs and not sources_of(config, stage.needs):
        return f"not configured: {' or '.join(stage.needs)}"
    if stage.enabled_by and not config_value(config, stage.enabled_by):
        return f"not configured: {stage.enabled_by.split('.')[0]}"
    for name in stage.inputs:
        if reason := unavailable(BY_TABLE[name], config):
            return reason
    return None


def available_inputs(stage: Stage, config: BuildConfig) -> list[str]:
    """The tables that the stage will read."""
    return [*stage.inputs, *(name for name in stage.optional if _is_wanted(stage, name, config))]


def _is_wanted(stage: Stage, optional: str, config: BuildConfig) -> bool:
    if optional in stage.only_if:
        path, value = stage.only_if[optional]
        if config_value(config, path) != value:
            return False
    return not unavailable(BY_TABLE[optional], config)


def unavailable_targets(config: BuildConfig, targets: Sequence[str]) -> dict[str, str]:
    """The named targets that the configuration does not allow, with the reason."""
    reasons = {name: unavailable(BY_TABLE[table(name).name], config) for name in targets}
    return {name: reason for name, reason in reasons.items() if reason}


def selected(config: BuildConfig, targets: Sequence[str]) -> dict[str, str | None]:
    """Stage -> None, or why it is n/a: the targets with all they need, in the stages' order.

    Raises:
        UsageError: nothing named can be built.
    """
    wanted = {table(name).name for name in targets} or set(BY_TABLE)
    reasons = {name: unavailable(BY_TABLE[name], config) for name in wanted}
    if all(reasons.values()):
        raise UsageError("; ".join(f"{name} is {reason}" for name, reason in sorted(reasons.items())))
    queue = [name for name, reason in reasons.items() if not reason]
    while queue:
        for name in available_inputs(BY_TABLE[queue.pop()], config):
            if name not in reasons:
                reasons[name] = None
                queue.append(name)
    return {stage.table: reasons[stage.table] for stage in STAGES if stage.table in reasons}


def stage_fingerprint(stage: Stage, config: BuildConfig, manifest: Manifest, digests: SourceDigests) -> str:
    """The fingerprint that the stage's table has when it is current; its inputs must be committed."""
    return fingerprint(
        stage,
        seed=config.seed,
        params=params_of(config, stage),
        inputs={name: manifest.tables[name].digest for name in available_inputs(stage, config)},
        sources=[(source, digests.digest(source)) for source in sources_of(config, stage.sources)],
    )


def is_refused(drops: Mapping[str, int], config: BuildConfig) -> bool:
    """Was input set aside for these drops that the configuration does not allow to be?"""
    return config.on_bad_input == "fail" and bool(drops.get("bad_input"))


def is_whole(out: Path, entry: TableEntry, digests: SourceDigests) -> bool:
    """Whether all of the table's files are there with the bytes that the manifest names."""
    return all(file_fault(out, file, digests.files) is None for file in entry.files)


def plan(
    config: BuildConfig,
    out: Path,
    *,
    manifest: Manifest,
    digests: SourceDigests,
    targets: Sequence[str],
    force: bool,
) -> list[Step]:
    """One step a selected stage, in order.

    Raises:
        InputError: an input is named twice (`refuse_repeated`).
    """
    steps: list[Step] = []
    to_run: set[str] = set()
    chosen = selected(config, targets)
    roles = (role for name, reason in chosen.items() if not reason for role in BY_TABLE[name].sources)
    refuse_repeated(config, dict.fromkeys(roles), digests)
    for name, reason in chosen.items():
        stage = BY_TABLE[name]
        if reason:
            steps.append(Step(name, "n/a", reason))
            continue
        for source in sources_of(config, stage.sources):
            require_input(source)
        rebuilt = [table for table in available_inputs(stage, config) if table in to_run]
        current = None if rebuilt else stage_fingerprint(stage, config, manifest, digests)
        entry = manifest.tables.get(name)
        if force and (not targets or name in targets):
            step = Step(name, "run", "forced", current, forced=True)
        elif rebuilt:
            step = Step(name, "run", f"its input {rebuilt[0]} is to be built")
        elif entry is None:
            step = Step(name, "run", "not built yet", current)
        elif entry.fingerprint != current:
            hashes = {source: digests.digest(source) for source in sources_of(config, stage.sources)}
            step = Step(name, "run", reason_of_change(stage, config, out, manifest, hashes), current)
        elif not is_whole(out, entry, digests):
            step = Step(name, "run", "files are missing, cut short or damaged", current)
        elif is_refused(entry.drops, config):
            step = Step(
                name, "run", "bad input was set aside, and on_bad_input is fail now", current, forced=True
            )
        else:
            step = Step(name, "skip", "up to date", current)
        if step.action == "run":
            to_run.add(name)
        steps.append(step)
    return steps
