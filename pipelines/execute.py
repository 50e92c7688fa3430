"""One stage of a build: skip what is whole, run it, write its shards, validate and commit them."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.links import remove
from kgcorpus.contracts.manifest import File, Manifest, TableEntry, table_folder
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.stages import content_digest
from kgcorpus.contracts.tally import most_frequent_names
from kgcorpus.report.progress import Counts, Progress, meter_counts
from pipelines.bound import BoundStage, Output
from pipelines.build_folders import BuildFolder
from pipelines.context import Context, located
from pipelines.failures import SPARK_FAILURES, translated
from pipelines.plan import Step, is_refused
from pipelines.shard_folders import ShardFolder
from pipelines.source_digests import MODEL_ROLES, SourceDigests
from pipelines.worker_counts import collecting
from pipelines.writer import shard_names, write_shards

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What happened to a stage."""

    stage: str
    action: Literal["built", "unchanged", "skip", "n/a"]
    reason: str
    rows: int = 0
    seconds: float = 0.0


def run_stage(
    step: Step,
    config: BuildConfig,
    out: BuildFolder,
    *,
    manifest: Manifest,
    digests: SourceDigests,
    progress: Progress,
) -> Outcome:
    """Make a stage's table current and commit it.

    Args:
        step: a step of the plan with the action `run`.
        config: of the build, for its policy of bad input and for Spark.
        progress: of the build, within the stage.

    Raises:
        KgcorpusError: the stage failed; its name is in `where`.
    """
    bound, made = step.bound, step.bound.table
    if (output := step.output) is None:
        output = bound.output(manifest, digests)
    else:
        digests.require_unchanged(bound.sources)
    # If this build is killed, the next one must know what its shards were made from.
    digests.files.save()
    out.send(MEMORY)
    entry = manifest.tables.get(bound.name)
    committed = entry if entry and entry.fingerprint == output.fingerprint else None
    redo = step.forced or (entry is not None and is_refused(entry.drops, config))
    if committed and out.is_whole(committed, digests.files) and not redo:
        manifest.pending -= {bound.name}
        return Outcome(bound.name, "unchanged", "its inputs came out the same", committed.rows)
    shards, names = out.shards(bound.name, output.fingerprint), shard_names(made, output.shards)
    if redo:
        # Its files go now.
        out.commit(manifest)
    if step.forced:
        shards.remove()
    shards.remove_damaged(
        {Path(file.path).name: file.sha256 for file in committed.files} if committed else {}
    )
    if committed is None and not digests.were_known(bound.sources):
        # Shards of a build that was killed: their sources may have been other ones while it read them.
        shards.remove()
    # The policy is in no fingerprint: these may be of a build that set bad input aside, and was killed.
    if is_refused(_named(shards.counters(), "drop."), config):
        shards.remove()
    try:
        if not shards.whole().issuperset(names):
            _write(
                bound, config, out, manifest, output=output, shards=shards, digests=digests, progress=progress
            )
            _require_unchanged(bound, digests, made=shards)
        with progress.work(
            "hashing shards",
            counts=meter_counts(),
            bytes_total=shards.bytes_to_hash(names, digests.files),
        ):
            entry = _entry(bound, shards, names, output, digests.files)
        _validate(entry, config)
    except SPARK_FAILURES as error:
        # A worker that reads a damaged object names it.
        tables = () if is_remote(out.place) else bound.inputs
        read = [file for name in tables for file in manifest.tables[name].files]
        raise translated(error, bound.name, out=out.path, inputs=read) from None
    if made.published:
        # The former build's files go now.
        out.commit(manifest)
        out.publish(entry, digests.files)
    manifest.tables[bound.name] = entry
    manifest.pending -= {bound.name}
    out.commit(manifest)
    return Outcome(bound.name, "built", "", entry.rows, progress.stage_seconds)


def _write(
    bound: BoundStage,
    config: BuildConfig,
    out: BuildFolder,
    manifest: Manifest,
    *,
    output: Output,
    shards: ShardFolder,
    digests: SourceDigests,
    progress: Progress,
) -> None:
    """Run the stage and write its missing shards."""
    from pipelines.session import count_tasks, create_session, is_on_one_machine

    started = time.monotonic()
    with progress.work("starting Spark", timed=False):
        spark = create_session(config.spark, log=out.path / "spark.log")
    progress.announce(f"Spark started in {time.monotonic() - started:.1f} s")
    scratch = out.scratch(bound.name, on_one_machine=is_on_one_machine(spark))
    context = Context(
        spark=spark,
        seed=bound.seed,
        config=bound.config,
        inputs={name: manifest.files(out.place, name) for name in bound.inputs},
        sources=[located(source) for source in bound.sources],
        partitions=config.spark.partitions,
        graph_parts=config.spark.colours,
        scratch=scratch,
        on_bad_input=config.on_bad_input,
    )
    names = shard_names(bound.table, output.shards)
    tasks_of = count_tasks(spark, bound.name)
    read = sum(digests.size(source) for source in bound.sources if source.role not in MODEL_ROLES)
    counted = out.path / "scratch" / bound.name / ".counts"
    remove(counted)
    with collecting(counted) as workers:

        def shards_written() -> Counts:
            return Counts(done=len(shards.whole().intersection(names)), total=len(names), unit="shards")

        counts = stage_counts(lambda: tasks_of() or shards_written(), workers)
        with progress.work(counts=counts, bytes_total=read or None):
            write_shards(
                bound.stage.run(context),
                bound.table,
                shards,
                shards=output.shards,
                seed=bound.seed,
                partitions=config.spark.partitions,
                quarantine=out.quarantine(bound.name, output.fingerprint),
            )
    scratch.remove()
    remove(counted.parent)


def stage_counts(
    tasks_of: Callable[[], Counts], workers: Callable[[], tuple[int, int]]
) -> Callable[[], Counts]:
    """Count the tasks, rows and input bytes of a stage from now on.

    The driver reads a big .bz2 file to find its blocks. The workers then read the same bytes, so only theirs
    are input that was processed. Until a task runs, the driver's are shown as `preparing`.

    Args:
        tasks_of: the tasks up to now.
        workers: of `collecting`.
    """
    driver = meter_counts()

    def counts() -> Counts:
        tasks, (rows, size) = tasks_of(), workers()
        if not (rows or size or tasks.total) and (scanned := driver().bytes):
            return replace(tasks, bytes=scanned, doing="preparing")
        return replace(tasks, rows=rows, bytes=size)

    return counts


def _require_unchanged(bound: BoundStage, digests: SourceDigests, *, made: ShardFolder) -> None:
    """Remove what a stage made if a source is not what its fingerprint names.

    Raises:
        InputError: one has changed while it was read.
    """
    try:
        digests.require_unchanged(bound.sources)
    except InputError:
        made.remove()
        raise


def _entry(
    bound: BoundStage, shards: ShardFolder, names: Sequence[str], output: Output, digests: FileDigests
) -> TableEntry:
    folder = f"data/{bound.name}" if bound.table.published else table_folder(bound.name, output.fingerprint)
    files: list[File] = []
    sums: Counter[str] = Counter()
    for name in names:
        facts = shards.facts(name, digests)
        files.append(File(f"{folder}/{name}", facts.rows, facts.bytes, facts.sha256))
        sums += facts.counters
    return TableEntry(
        stage=bound.name,
        fingerprint=output.fingerprint,
        digest=content_digest([(Path(file.path).name, file.sha256) for file in files]),
        rows=sum(file.rows for file in files),
        drops=_named(sums, "drop."),
        counts=most_frequent_names(_named(sums, "count.")),
        files=tuple(files),
    )


def _named(sums: Counter[str], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in sorted(sums.items()) if name.startswith(prefix)}


def _validate(entry: TableEntry, config: BuildConfig) -> None:
    bad = entry.drops.get("bad_input", 0)
    read = entry.counts.get("good_input", 0) + bad
    if bad > config.max_bad_share * read:
        raise InputError(
            f"{bad} of {read} pieces of input are bad",
            where=entry.stage,
            hint=f"See quarantine/{entry.stage}/, or raise max_bad_share ({config.max_bad_share})",
        )
