"""Plan of a build: whether each stage runs, is skipped or is not configured. Needs no JVM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.tables import table
from pipelines.bound import BoundStage, Output
from pipelines.build_folders import BuildFolder, build_folder
from pipelines.changes import reason_of_change
from pipelines.repeated import refuse_repeated
from pipelines.source_digests import SourceDigests, require_input

Action = Literal["run", "skip", "n/a"]


@dataclass(frozen=True)
class Step:
    """A bound stage and what is to be done about it.

    Attributes:
        action: run, skip (the table is up to date), or n/a (the configuration does not allow it).
        reason: of the action, for a person.
        output: the table's place; None for n/a, and while an input is to be built.
        forced: whether whole shards are written again.
    """

    bound: BoundStage
    action: Action
    reason: str
    output: Output | None = None
    forced: bool = False

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self.bound.name


def unavailable_targets(bound: Mapping[str, BoundStage], targets: Sequence[str]) -> dict[str, str]:
    """The named targets that the configuration does not allow, with the reason."""
    reasons = {name: bound[table(name).name].unavailable for name in targets}
    return {name: reason for name, reason in reasons.items() if reason}


def selected(bound: Mapping[str, BoundStage], targets: Sequence[str]) -> list[BoundStage]:
    """The targets, n/a ones included, with all that the others need, in the stages' order.

    Raises:
        UsageError: nothing named can be built.
    """
    wanted = {table(name).name for name in targets} or set(bound)
    queue = [name for name in wanted if not bound[name].unavailable]
    if not queue:
        reasons = (f"{name} is {bound[name].unavailable}" for name in sorted(wanted))
        raise UsageError("; ".join(reasons))
    while queue:
        needed = [name for name in bound[queue.pop()].inputs if name not in wanted]
        wanted.update(needed)
        queue += needed
    return [stage for name, stage in bound.items() if name in wanted]


def is_refused(drops: Mapping[str, int], config: BuildConfig) -> bool:
    """Was input set aside for these drops that the configuration does not allow to be?"""
    return config.on_bad_input == "fail" and bool(drops.get("bad_input"))


def plan(
    config: BuildConfig,
    bound: Mapping[str, BoundStage],
    out: Path | BuildFolder,
    *,
    manifest: Manifest,
    digests: SourceDigests,
    targets: Sequence[str],
    force: bool,
) -> list[Step]:
    """One step for each selected stage, in order.

    Raises:
        UsageError: nothing named can be built.
        InputError: an input is missing, or named twice (`refuse_repeated`).
    """
    out = build_folder(out)
    steps: list[Step] = []
    to_run: set[str] = set()
    chosen = selected(bound, targets)
    roles = (role for one in chosen if not one.unavailable for role in one.stage.sources)
    refuse_repeated(config, dict.fromkeys(roles), digests)
    for one in chosen:
        if one.unavailable:
            steps.append(Step(one, "n/a", one.unavailable))
            continue
        for source in one.sources:
            require_input(source)
        rebuilt = [name for name in one.inputs if name in to_run]
        output = None if rebuilt else one.output(manifest, digests)
        entry = manifest.tables.get(one.name)
        if force and (not targets or one.name in targets):
            step = Step(one, "run", "forced", output, forced=True)
        elif output is None:
            step = Step(one, "run", f"its input {rebuilt[0]} is to be built")
        elif entry is None:
            step = Step(one, "run", "not built yet", output)
        elif entry.fingerprint != output.fingerprint:
            step = Step(one, "run", reason_of_change(one, out.path, manifest, digests), output)
        elif not out.is_whole(entry, digests.files):
            step = Step(one, "run", "files are missing, cut short or damaged", output)
        elif is_refused(entry.drops, config):
            reason = "bad input was set aside, and on_bad_input is fail now"
            step = Step(one, "run", reason, output, forced=True)
        else:
            step = Step(one, "skip", "up to date", output)
        if step.action == "run":
            to_run.add(one.name)
        steps.append(step)
    return steps
