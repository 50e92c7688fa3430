"""Bring a build up to date: plan, check, run each stage, publish, describe."""

import json
import logging
import platform
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kgcorpus import config as configuration
from kgcorpus.config import BuildConfig
from kgcorpus.contracts.digests import MEMORY
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.secrets import redact_command
from kgcorpus.contracts.signals import forget_progress, note_progress
from kgcorpus.contracts.stages import Source, library_versions
from kgcorpus.contracts.store import sweep_temporaries, write_text
from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.page.build_page import PAGE, write_page
from kgcorpus.report.progress import Progress, meter_counts
from kgcorpus.report.terminal import detail
from kgcorpus.report.write import write_report
from pipelines.bound import BoundStage, bind
from pipelines.build_folders import BuildFolder, build_folder
from pipelines.context import require_readable_by_spark
from pipelines.execute import Outcome, run_stage
from pipelines.plan import Step, plan, selected, unavailable_targets
from pipelines.preflight import check, left_out
from pipelines.source_digests import SourceDigests
from pipelines.sources import log_formats, read_as
from pipelines.stage_times import RUN, StageTime, expected_seconds, read_times, source_bytes

log = logging.getLogger(__name__)
# Pending until config.yaml, report.json and the card match the tables.
_REPORT = "report"

Listener = Callable[[Outcome], None]


def build(
    config: BuildConfig,
    out: str | Path | BuildFolder,
    *,
    targets: Sequence[str] = (),
    force: bool = False,
    on_stage: Listener = lambda outcome: None,
) -> list[Outcome]:
    """Bring OUT up to date with the configuration.

    Args:
        targets: tables to build with all they need; default: all that the inputs allow.
        force: run the targets again though they are up to date.
        on_stage: called when a stage ends.

    Raises:
        KgcorpusError: with the stage's name in `where`.
    """
    out = build_folder(out)
    require_readable_by_spark(out.path)
    stages = bind(config)
    out.check(_sources(stages.values()))
    forget_progress()
    with out.lock(), Progress("build-corpus", folder=out.path, has_stages=True) as progress:
        sweep_temporaries(out.path)
        manifest = out.load_manifest()
        digests = SourceDigests(out.path)
        with progress.work(
            "hashing inputs",
            counts=meter_counts(),
            bytes_total=digests.bytes_to_hash(_sources(selected(stages, targets))),
        ):
            steps = plan(
                config, stages, out, manifest=manifest, digests=digests, targets=targets, force=force
            )
            digests.files.save()
            out.send(MEMORY)
        run = [step.bound for step in steps if step.action == "run"]
        log_formats(config, (source for stage in run for source in stage.sources))
        with progress.work("checking inputs"):
            _check(config, run)
        missing = [name for name, bound in stages.items() if bound.is_left_out]
        if not targets and (reasons := unavailable_targets(stages, missing)):
            log.info("left out: %s", left_out(reasons))
        manifest.pending = _pending(manifest, steps, complete=not targets)
        started = time.time()
        outcomes: list[Outcome] = []
        wanted = sum(step.action != "n/a" for step in steps)
        times, sizes = read_times(out.path), source_bytes(stages, digests)
        progress.expect(
            {bound.name: expected_seconds(times.get(bound.name), sizes[bound.name]) for bound in run},
            tasks={name: time.tasks for name, time in times.items()},
        )
        for step in steps:
            note_progress(sum(outcome.action != "n/a" for outcome in outcomes), wanted, "stages")
            detail(f"{step.stage}: {step.action}, {step.reason}")
            if step.action == "run":
                with progress.stage(step.stage):
                    outcome = run_stage(
                        step, config, out, manifest=manifest, digests=digests, progress=progress
                    )
            else:
                rows = manifest.tables[step.stage].rows if step.action == "skip" else 0
                outcome = Outcome(step.stage, step.action, step.reason, rows)
            if outcome.action == "built":
                tasks = progress.tasks.get(step.stage, 0)
                times[step.stage] = StageTime(round(outcome.seconds, 3), tasks, sizes[step.stage])
            outcomes.append(outcome)
            on_stage(outcome)
        note_progress(wanted, wanted, "stages")
        with progress.work("writing the report"):
            report = _finish(config, stages, out, manifest, digests, complete=not targets)
            digests.files.save()
        _write_run(out.path, started, outcomes, times)
        with progress.work("writing the page"):
            write_page(out.path, manifest, report, place=out.place)
        out.send(RUN, PAGE, MEMORY)
        forget_progress()
        return outcomes


def _check(config: BuildConfig, stages: Collection[BoundStage]) -> None:
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
    """The tables to mark as pending until this build has committed them.

    The mark is on disk before a file of the former build is removed: until then that build is complete.
    """
    run, current, left_out = (
        {step.stage for step in steps if step.action == action} for action in ("run", "skip", "n/a")
    )
    if complete:
        # The end forgets the tables that the configuration makes no more.
        return frozenset({_REPORT} | run | left_out & manifest.tables.keys())
    return frozenset({_REPORT} | run | (manifest.pending - current))


def _finish(
    config: BuildConfig,
    stages: Mapping[str, BoundStage],
    out: BuildFolder,
    manifest: Manifest,
    digests: SourceDigests,
    *,
    complete: bool,
) -> dict[str, Any]:
    """Write config.yaml, report.json and the card; a full build drops tables that its config no longer makes.

    Returns:
        The contents of report.json.
    """
    if complete:
        manifest.tables = {
            name: entry
            for name, entry in manifest.tables.items()
            if name in stages and not stages[name].unavailable
        }
        manifest.pending = frozenset()
    manifest.pending -= {_REPORT}
    read = _sources(stage for name, stage in stages.items() if name in manifest.tables)
    manifest.sources = sorted(
        (_described(source, config, digests) for source in read), key=lambda row: tuple(row.values())
    )
    libraries = {name for one in stages.values() for name in one.stage.libraries}
    manifest.versions = library_versions(sorted({"kgcorpus", "pyarrow", *libraries}))
    text = configuration.to_yaml(config)
    stands = {"manifest.json": manifest.to_text(), "config.yaml": text}
    if changed := not all(_holds(out.path / name, content) for name, content in stands.items()):
        out.commit(replace(manifest, pending=manifest.pending | {_REPORT}))
    out.clean(manifest, complete=complete)
    write_text(out.path / "config.yaml", text)
    report = write_report(out.path, manifest, place=out.place)
    out.send("config.yaml", "report.json", "README.md")
    if changed:
        out.commit(manifest)
    return report


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _write_run(
    out: Path, started: float, outcomes: Sequence[Outcome], times: Mapping[str, StageTime]
) -> None:
    """What is true of this run and not of the build: times, host, memory, command."""
    run = {
        "command": redact_command(sys.argv),
        "host": platform.node(),
        "platform": platform.platform(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 1),
        "peak_driver_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "stages": [vars(outcome) for outcome in outcomes],
        # Kept from build to build: the next one estimates its time left by them.
        "times": {name: vars(times[name]) for name in TABLES if name in times},
    }
    write_text(out / RUN, json.dumps(run, indent=1) + "\n")


def _described(source: Source, config: BuildConfig, digests: SourceDigests) -> dict[str, Any]:
    """A source without its directory: equal builds have equal manifests."""
    return {
        "role": source.role,
        "lang": source.lang,
        "file": file_name(source.path),
        "bytes": digests.size(source),
        "sha256": digests.digest(source),
        "read_as": read_as(source, config),
    }


def _sources(stages: Iterable[BoundStage]) -> set[Source]:
    return {source for stage in stages for source in stage.sources}
