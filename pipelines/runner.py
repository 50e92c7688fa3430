"""Run a plan: skip or run each stage, validate, commit, publish."""

import json
import logging
import platform
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus import config as configuration
from kgcorpus.config import BuildConfig
from kgcorpus.contracts.digests import FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.links import entries_of, remove
from kgcorpus.contracts.manifest import File, Manifest, TableEntry, load_manifest
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.secrets import redact_command
from kgcorpus.contracts.signals import forget_progress, note_progress
from kgcorpus.contracts.splits import SPLIT_SHARES
from kgcorpus.contracts.stages import Source, Stage, content_digest, library_versions, params_of, sources_of
from kgcorpus.contracts.store import folder_lock, publish, sha256_of, sweep_temporaries, write_text
from kgcorpus.contracts.tables import Table, table
from kgcorpus.contracts.tally import most_frequent_names
from kgcorpus.report.write import write_report
from pipelines.context import Context, located, require_readable_by_spark
from pipelines.failures import SPARK_FAILURES, translated
from pipelines.plan import (
    BY_TABLE,
    SourceDigests,
    Step,
    available_inputs,
    is_refused,
    is_whole,
    plan,
    stage_fingerprint,
    unavailable,
    unavailable_targets,
)
from pipelines.preflight import check, left_out
from pipelines.sources import read_as, tell
from pipelines.stages import STAGES
from pipelines.sweep import check_folder, remove_superseded, remove_unpublished
from pipelines.writer import read_counters, shard_names, write_shards

log = logging.getLogger(__name__)
# Pending until what stands beside the tables (config.yaml, report.json, the card) goes with them.
_REPORT = "report"


@dataclass(frozen=True)
class Outcome:
    """What happened to a stage; `action` is built | unchanged | skip | n/a."""

    stage: str
    action: str
    reason: str
    rows: int = 0
    seconds: float = 0.0


Listener = Callable[[Outcome], None]


def build(
    config: BuildConfig,
    out: Path,
    *,
    targets: Sequence[str] = (),
    force: bool = False,
    on_stage: Listener = lambda outcome: None,
) -> list[Outcome]:
    """Bring OUT up to date with the configuration.

    Args:
        targets: tables to build with all they need; default: all that the inputs allow.
        force: run the targets again though they are up to date.
        on_stage: told of each stage as it ends.

    Raises:
        KgcorpusError: with the stage's name in `where`.
    """
    # Executors have working directories of their own.
    out = out.absolute()
    require_readable_by_spark(out)
    check_folder(out, {source for stage in STAGES for source in sources_of(config, stage.sources)})
    forget_progress()
    with folder_lock(out, "build"):
        sweep_temporaries(out)
        manifest = load_manifest(out)
        digests = SourceDigests(out)
        steps = plan(config, out, manifest=manifest, digests=digests, targets=targets, force=force)
        digests.files.save()
        run = [BY_TABLE[step.stage] for step in steps if step.action == "run"]
        tell(config, (source for stage in run for source in sources_of(config, stage.sources)))
        _check(config, run)
        if not targets and (reasons := unavailable_targets(config, list(BY_TABLE))):
            log.info("left out: %s", left_out(reasons))
        manifest.pending = _pending(manifest, steps, complete=not targets)
        started = time.time()
        outcomes: list[Outcome] = []
        wanted = sum(step.action != "n/a" for step in steps)
        for step in steps:
            note_progress(sum(outcome.action != "n/a" for outcome in outcomes), wanted, "stages")
            if step.action == "run":
                stage = BY_TABLE[step.stage]
                outcome = _run(stage, config, out, manifest=manifest, digests=digests, forced=step.forced)
            else:
                rows = manifest.tables[step.stage].rows if step.action == "skip" else 0
                outcome = Outcome(step.stage, step.action, step.reason, rows)
            outcomes.append(outcome)
            on_stage(outcome)
        note_progress(wanted, wanted, "stages")
        _finish(config, out, manifest, digests, complete=not targets)
        digests.files.save()
        _write_run(out, started, outcomes)
        forget_progress()
        return outcomes


def _check(config: BuildConfig, stages: Sequence[Stage]) -> None:
    """Check the sources of the stages that are to run.

    Raises:
        KgcorpusError: the first of the faults that were found.
    """
    found = check(config, stages)
    for error in found.errors[1:]:
        log.error("%s", error)
    if found.errors:
        raise found.errors[0]
    for warning in found.warnings:
        log.warning("%s", warning)


def _pending(manifest: Manifest, steps: Sequence[Step], *, complete: bool) -> frozenset[str]:
    """The tables that do not go with the others until the build has come to them.

    They reach the disk before a file of the former build goes: until then it stands whole.
    """
    run, current, left_out = (
        {step.stage for step in steps if step.action == action} for action in ("run", "skip", "n/a")
    )
    if complete:
        # The end forgets the tables that the configuration makes no more.
        return frozenset({_REPORT} | run | left_out & manifest.tables.keys())
    return frozenset({_REPORT} | run | (manifest.pending - current))


def _run(
    stage: Stage, config: BuildConfig, out: Path, *, manifest: Manifest, digests: SourceDigests, forced: bool
) -> Outcome:
    started = time.monotonic()
    print_ = stage_fingerprint(stage, config, manifest, digests)
    # If this build is killed, the next one must know what its shards were made from.
    digests.files.save()
    entry = manifest.tables.get(stage.table)
    redo = forced or (entry is not None and is_refused(entry.drops, config))
    if entry and entry.fingerprint == print_ and is_whole(out, entry, digests) and not redo:
        manifest.pending -= {stage.table}
        return Outcome(stage.table, "unchanged", "its inputs came out the same", entry.rows)
    made = table(stage.table)
    folder = out / "tables" / stage.table / print_[:12]
    if redo:
        # Its files go now.
        manifest.save(out)
    if forced:
        remove(folder)
    inputs = {name: manifest.files(out, name) for name in available_inputs(stage, config)}
    sizes = [digests.size(source) for source in sources_of(config, stage.needs)]
    shards = _shard_counts(stage, made, manifest, sum(sizes))
    _remove_damaged(folder, entry if entry and entry.fingerprint == print_ else None)
    sources = sources_of(config, stage.sources)
    is_committed = entry is not None and entry.fingerprint == print_
    if not is_committed and not digests.were_known(sources):
        # Shards of a build that was killed: their sources may have been other ones while it read them.
        remove(folder)
    # The policy is in no fingerprint: these may be of a build that set bad input aside, and was killed.
    if is_refused(_named(_counters(folder), "drop."), config):
        remove(folder)
    try:
        if any(not (folder / name).exists() for name in shard_names(made, shards)):
            context = _context(stage, config, out, inputs)
            remove(context.scratch)
            write_shards(
                stage.run(context),
                made,
                folder,
                shards=shards,
                seed=config.seed,
                partitions=config.spark.partitions,
                quarantine=out / "quarantine" / stage.table / f"{print_[:12]}.jsonl",
            )
            remove(context.scratch)
            _require_unchanged(sources, digests, made=folder)
        entry = _entry(stage, made, folder, shards=shards, fingerprint=print_, digests=digests.files)
        _validate(entry, config)
    except SPARK_FAILURES as error:
        read = [file for name in inputs for file in manifest.tables[name].files]
        raise translated(error, stage.table, out=out, inputs=read) from None
    if made.published:
        # The former build's files go now.
        manifest.save(out)
    for file in entry.files if made.published else ():
        publish(folder / Path(file.path).name, out / file.path)
        _remember_published(folder / Path(file.path).name, out / file.path, file.sha256, digests.files)
    manifest.tables[stage.table] = entry
    manifest.pending -= {stage.table}
    manifest.save(out)
    return Outcome(stage.table, "built", "", entry.rows, time.monotonic() - started)


def _remember_published(shard: Path, published: Path, digest: str, digests: FileDigests) -> None:
    """Remember the digest of a link to a shard; a copy is hashed when it is first read."""
    if shard.samefile(published):
        digests.record(published, digest)


def _require_unchanged(sources: Sequence[Source], digests: SourceDigests, *, made: Path) -> None:
    """Remove what a stage made if a source is not what its fingerprint names.

    Raises:
        InputError: one has changed while it was read.
    """
    try:
        for source in sources:
            digests.digest(source)
    except InputError:
        remove(made)
        raise


def _context(stage: Stage, config: BuildConfig, out: Path, inputs: dict[str, list[str]]) -> Context:
    from pipelines.session import create_session

    return Context(
        spark=create_session(config.spark, log=out / "spark.log"),
        seed=config.seed,
        params=params_of(config, stage),
        inputs=inputs,
        sources=[located(source) for source in sources_of(config, stage.sources)],
        partitions=config.spark.partitions,
        colours=config.spark.colours,
        scratch=out / "scratch" / stage.table,
        on_bad_input=config.on_bad_input,
    )


def _shard_counts(stage: Stage, made: Table, manifest: Manifest, source_bytes: int) -> dict[str, int]:
    """Shards a split, from committed input rows alone, so that no run-time setting changes a byte."""
    size = manifest.tables[stage.inputs[0]].rows if stage.inputs else source_bytes
    shards = size * stage.growth / made.rows_per_shard
    if not made.published:
        return {"part": max(1, round(shards))}
    return {split: max(1, round(shards * share)) for split, share in SPLIT_SHARES.items()}


def _entry(
    stage: Stage, made: Table, folder: Path, *, shards: dict[str, int], fingerprint: str, digests: FileDigests
) -> TableEntry:
    files: list[File] = []
    sums: Counter[str] = Counter()
    for name in shard_names(made, shards):
        path = folder / name
        place = f"data/{stage.table}" if made.published else f"tables/{stage.table}/{folder.name}"
        rows = pq.read_metadata(path).num_rows
        files.append(File(f"{place}/{name}", rows, path.stat().st_size, digests.of(path)))
        sums += read_counters(path)
    return TableEntry(
        stage=stage.table,
        fingerprint=fingerprint,
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
            mend=f"See quarantine/{entry.stage}/, or raise max_bad_share ({config.max_bad_share})",
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


def _finish(
    config: BuildConfig, out: Path, manifest: Manifest, digests: SourceDigests, *, complete: bool
) -> None:
    """Write what stands beside the tables; a full build forgets tables that its config makes no more."""
    if complete:
        made = {stage.table for stage in STAGES if not unavailable(stage, config)}
        manifest.tables = {name: entry for name, entry in manifest.tables.items() if name in made}
        manifest.pending = frozenset()
    manifest.pending -= {_REPORT}
    read = (stage for stage in STAGES if stage.table in manifest.tables)
    sources = {source for stage in read for source in sources_of(config, stage.sources)}
    manifest.sources = sorted(
        (_described(source, config, digests) for source in sources), key=lambda row: tuple(row.values())
    )
    manifest.versions = library_versions(
        sorted({"kgcorpus", "pyarrow", *(n for s in STAGES for n in s.libraries)})
    )
    text = configuration.to_yaml(config)
    stands = {"manifest.json": manifest.to_text(), "config.yaml": text}
    if changed := not all(_holds(out / name, content) for name, content in stands.items()):
        replace(manifest, pending=manifest.pending | {_REPORT}).save(out)
    # A worker that died while others went on left its own.
    sweep_temporaries(out)
    remove_unpublished(out, manifest)
    if complete:
        remove_superseded(out, manifest)
    write_text(out / "config.yaml", text)
    write_report(out, manifest)
    if changed:
        manifest.save(out)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _write_run(out: Path, started: float, outcomes: Sequence[Outcome]) -> None:
    """What is true of this run and not of the build: times, host, memory, command."""
    run = {
        "command": redact_command(sys.argv),
        "host": platform.node(),
        "platform": platform.platform(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 1),
        "peak_driver_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "stages": [vars(outcome) for outcome in outcomes],
    }
    write_text(out / "run.json", json.dumps(run, indent=1) + "\n")


def _described(source: Source, config: BuildConfig, digests: SourceDigests) -> dict[str, Any]:
    """A source without its directory: equal builds have equal manifests."""
    return {
        "role": source.role,
        "lang": source.lang,
        "file": file_name(source.path),
        "bytes": digests.size(source),
        "sha256": digests.digest(source),
        "read_as": read_as(source, config)[0],
    }
