"""One stage of a build: skip what is whole, run it, write its shards, validate and commit them."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.digests import FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.links import entries_of, remove
from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.stages import content_digest
from kgcorpus.contracts.store import publish, sha256_of
from kgcorpus.contracts.tally import most_frequent_names
from kgcorpus.report.progress import Counts, Progress, meter_counts
from pipelines.bound import BoundStage, Output
from pipelines.context import Context, located
from pipelines.failures import SPARK_FAILURES, translated
from pipelines.plan import Step, is_refused, is_whole
from pipelines.source_digests import MODEL_ROLES, SourceDigests
from pipelines.worker_counts import collecting
from pipelines.writer import read_counters, shard_names, write_shards

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
    out: Path,
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
    entry = manifest.tables.get(bound.name)
    committed = entry if entry and entry.fingerprint == output.fingerprint else None
    redo = step.forced or (entry is not None and is_refused(entry.drops, config))
    if committed and is_whole(out, committed, digests) and not redo:
        manifest.pending -= {bound.name}
        return Outcome(bound.name, "unchanged", "its inputs came out the same", committed.rows)
    folder = out / "tables" / bound.name / output.fingerprint[:12]
    if redo:
        # Its files go now.
        manifest.save(out)
    if step.forced:
        remove(folder)
    _remove_damaged(folder, committed)
    if committed is None and not digests.were_known(bound.sources):
        # Shards of a build that was killed: their sources may have been other ones while it read them.
        remove(folder)
    # The policy is in no fingerprint: these may be of a build that set bad input aside, and was killed.
    if is_refused(_named(_counters(folder), "drop."), config):
        remove(folder)
    try:
        if any(not (folder / name).exists() for name in shard_names(made, output.shards)):
            _write(
                bound,
                config,
                out,
                manifest,
                output=output,
                folder=folder,
                digests=digests,
                progress=progress,
            )
            _require_unchanged(bound, digests, made=folder)
        shards = [folder / name for name in shard_names(made, output.shards)]
        with progress.work(
            "hashing shards", counts=meter_counts(), bytes_total=digests.files.bytes_to_hash(shards)
        ):
            entry = _entry(bound, folder, output, digests.files)
        _validate(entry, config)
    except SPARK_FAILURES as error:
        read = [file for name in bound.inputs for file in manifest.tables[name].files]
        raise translated(error, bound.name, out=out, inputs=read) from None
    if made.published:
        # The former build's files go now.
        manifest.save(out)
    for file in entry.files if made.published else ():
        publish(folder / Path(file.path).name, out / file.path)
        _remember_published(folder / Path(file.path).name, out / file.path, file.sha256, digests.files)
    manifest.tables[bound.name] = entry
    manifest.pending -= {bound.name}
    manifest.save(out)
    return Outcome(bound.name, "built", "", entry.rows, progress.stage_seconds)


def _write(
    bound: BoundStage,
    config: BuildConfig,
    out: Path,
    manifest: Manifest,
    *,
    output: Output,
    folder: Path,
    digests: SourceDigests,
    progress: Progress,
) -> None:
    """Run the stage and write its missing shards into `folder`."""
    from pipelines.session import count_tasks, create_session

    started = time.monotonic()
    with progress.work("starting Spark", timed=False):
        spark = create_session(config.spark, log=out / "spark.log")
    progress.announce(f"Spark started in {time.monotonic() - started:.1f} s")
    context = Context(
        spark=spark,
        seed=bound.seed,
        config=bound.config,
        inputs={name: manifest.files(out, name) for name in bound.inputs},
        sources=[located(source) for source in bound.sources],
        partitions=config.spark.partitions,
        colours=config.spark.colours,
        scratch=out / "scratch" / bound.name,
        on_bad_input=config.on_bad_input,
    )
    remove(context.scratch)
    shards = [folder / name for name in shard_names(bound.table, output.shards)]
    tasks_of, driver = count_tasks(spark, bound.name), meter_counts()
    read = sum(digests.size(source) for source in bound.sources if source.role not in MODEL_ROLES)
    with collecting(context.scratch / ".counts") as workers:

        def counts() -> Counts:
            rows, size = workers()
            tasks = tasks_of()
            if tasks is None:
                tasks = Counts(done=sum(shard.exists() for shard in shards), total=len(shards), unit="shards")
            # Before the workers read a file, the driver may look for the places where it can be divided.
            return replace(tasks, rows=rows, bytes=size or driver().bytes)

        with progress.work(counts=counts, bytes_total=read or None):
            write_shards(
                bound.stage.run(context),
                bound.table,
                folder,
                shards=output.shards,
                seed=bound.seed,
                partitions=config.spark.partitions,
                quarantine=out / "quarantine" / bound.name / f"{output.fingerprint[:12]}.jsonl",
            )
    remove(context.scratch)


def _require_unchanged(bound: BoundStage, digests: SourceDigests, *, made: Path) -> None:
    """Remove what a stage made if a source is not what its fingerprint names.

    Raises:
        InputError: one has changed while it was read.
    """
    try:
        digests.require_unchanged(bound.sources)
    except InputError:
        remove(made)
        raise


def _remember_published(shard: Path, published: Path, digest: str, digests: FileDigests) -> None:
    """Remember the digest of a link to a shard; a copy is hashed when it is first read."""
    if shard.samefile(published):
        digests.record(published, digest)


def _entry(bound: BoundStage, folder: Path, output: Output, digests: FileDigests) -> TableEntry:
    files: list[File] = []
    sums: Counter[str] = Counter()
    for name in shard_names(bound.table, output.shards):
        path = folder / name
        place = f"data/{bound.name}" if bound.table.published else f"tables/{bound.name}/{folder.name}"
        rows = pq.read_metadata(path).num_rows
        files.append(File(f"{place}/{name}", rows, path.stat().st_size, digests.of(path)))
        sums += read_counters(path)
    return TableEntry(
        stage=bound.name,
        fingerprint=output.fingerprint,
        digest=content_digest([(Path(file.path).name, file.sha256) for file in files]),
        rows=sum(file.rows for file in files),
        drops=_named(sums, "drop."),
        counts=most_frequent_names(_named(sums, "count.")),
        files=tuple(files),
    )


def _counters(folder: Path) -> Counter[str]:
    """The sums of the shards that are there."""
    return sum((read_counters(path) for path in entries_of(folder) if path.suffix == ".parquet"), Counter())


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


def _remove_damaged(folder: Path, entry: TableEntry | None) -> None:
    """A shard that cannot be read, or is not the one that the manifest names, is written again."""
    named = {Path(file.path).name: file.sha256 for file in entry.files} if entry else {}
    for path in (path for path in entries_of(folder) if path.suffix == ".parquet"):
        try:
            pq.read_metadata(path)
            whole = path.name not in named or sha256_of(path) == named[path.name]
        except (pa.ArrowInvalid, OSError):
            whole = False
        if not whole:
            log.warning("%s is damaged and is written again", path)
            path.unlink()
