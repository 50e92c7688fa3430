"""The display of progress: it samples counts in a thread, and shows them until the command ends."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from kgcorpus.contracts.errors import as_error
from kgcorpus.contracts.meter import meter
from kgcorpus.contracts.secrets import redact
from kgcorpus.contracts.signals import Stopped, stopped
from kgcorpus.report.progress.bar import Bar, has_terminal, open_bar
from kgcorpus.report.progress.estimates import (
    Counts,
    Rate,
    command_seconds_left,
    command_share,
    share_done,
    stage_seconds_left,
)
from kgcorpus.report.progress.facts import Facts, is_running, now, read_facts, this_process, write_facts
from kgcorpus.report.progress.text import forms_of, label_of, line_of
from kgcorpus.report.terminal import verbosity

_log = logging.getLogger(__name__)
_TICK = 0.5
# Seconds between two writes of the file, and between two lines where there is no terminal.
_WRITE = 1.0
LINE_SECONDS = 30.0
VERBOSE_LINE_SECONDS = 5.0
# How long `follow` waits for a command to start.
WAIT_SECONDS = 60.0
_OF_A_COMMAND = ("command", "host", "process", "process_start", "started")
_NOTHING_DONE: dict[str, Any] = {
    "done": None,
    "total": None,
    "bytes_done": None,
    "bytes": None,
    "rows": 0,
    "rows_per_second": None,
    "bytes_per_second": None,
}


def meter_counts() -> Callable[[], Counts]:
    """Counts of the bytes that this process reads from now on."""
    start = meter.bytes
    return lambda: Counts(bytes=meter.bytes - start)


class Display:
    """Shows facts: as a bar on a terminal, else as lines; nothing under `--quiet`."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._bar: Bar | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if verbosity() != "quiet" and has_terminal():
            self._bar = self._stack.enter_context(open_bar(stays=False))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def announce(self, text: str) -> None:
        """Log a line where there is no bar."""
        if self._bar is None:
            _log.info("%s", text)

    def show(self, facts: Facts) -> None:
        """Draw the bar, or log a line if one is due."""
        if self._bar is not None:
            self._bar.draw(label_of(facts), forms_of(facts), facts.fraction)
            return
        interval = VERBOSE_LINE_SECONDS if verbosity() == "verbose" else LINE_SECONDS
        if time.monotonic() - self._last_line >= interval:
            self._last_line = time.monotonic()
            _log.info("%s", line_of(facts))


class Progress:
    """The progress of one command, as a context.

    Args:
        command: its name.
        folder: where progress.json is written; the caller holds the folder's lock. None: nowhere.
        has_stages: whether `expect` will announce stages; the command's time left is unknown until then.

    Attributes:
        tasks: stage -> its number of Spark tasks.
    """

    def __init__(self, command: str, *, folder: Path | None = None, has_stages: bool = False) -> None:
        self.tasks: dict[str, int] = {}
        self._folder, self._is_planned = folder, not has_stages
        self._facts = Facts(command=command, started=now(), **this_process())  # type: ignore[arg-type]
        self._stages: dict[str, float | None] = {}
        self._tasks_before: Mapping[str, int] = {}
        # Guards everything below, which both threads use.
        self._lock = threading.RLock()
        self._counts: Callable[[], Counts] | None = None
        self._bytes_total: int | None = None
        self._doing = ""
        self._began = self._stage_began = self._written = time.monotonic()
        self._rows, self._bytes = Rate(), Rate()
        self._display = Display()
        self._announced = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._display.__enter__()
        self._tick()
        self._write()
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._display.__exit__()
        ended: dict[str, Any] = {"state": "finished", "exit_code": 0}
        if error is not None and (received := stopped()) is not None:
            error = received
        if isinstance(error, Stopped):
            ended = {"state": "failed", "error": str(error), "exit_code": error.exit_code}
        elif isinstance(error, KeyboardInterrupt):
            ended = {"state": "failed", "error": "interrupted", "exit_code": 130}
        elif error is not None:
            known = as_error(error) if isinstance(error, Exception) else None
            ended = {"state": "failed", "error": redact(str(known or error)), "exit_code": 1}
            if known is not None:
                ended["exit_code"] = known.exit_code
        else:
            ended |= {"fraction": 1.0, "seconds_left": 0.0, "stage": "", "doing": ""}
        with self._lock:
            self._facts = replace(self._facts, **ended)
            self._write()

    def expect(self, seconds: Mapping[str, float | None], *, tasks: Mapping[str, int] | None = None) -> None:
        """Announce the stages that will run, in their order.

        Args:
            seconds: stage -> its expected seconds; None if it was never timed.
            tasks: stage -> its number of tasks in the last run.
        """
        with self._lock:
            self._stages, self._tasks_before, self._is_planned = dict(seconds), tasks or {}, True
            self._facts = replace(self._facts, stages=len(seconds))

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run one of the expected stages."""
        with self._lock:
            self._facts = replace(self._facts, stage=name)
            self._begin_stage()
        yield
        with self._lock:
            self._facts = replace(self._facts, stage="", stages_done=self._facts.stages_done + 1)
            self._begin_stage()

    @contextlib.contextmanager
    def work(
        self,
        doing: str = "",
        *,
        counts: Callable[[], Counts] | None = None,
        unit: str = "tasks",
        bytes_total: int | None = None,
        timed: bool = True,
    ) -> Iterator[None]:
        """Do a piece of work whose counts are sampled.

        Args:
            doing: the work; empty if it is the stage itself.
            counts: called from another thread, about twice a second.
            unit: what the counts count.
            bytes_total: bytes of the input, if they are counted.
            timed: whether its time belongs to the stage's.
        """
        began = time.monotonic()
        with self._lock:
            before = self._facts
            if not before.stage:
                self._stage_began = began
            self._facts = replace(before, **_NOTHING_DONE, doing=doing, unit=unit)
            self._counts, self._bytes_total, self._doing = counts, bytes_total, doing
            # Work that ends within a few samples has a rate, too.
            self._rows, self._bytes = Rate(began), Rate(began)
        try:
            yield
            # After an error, or a signal amid a call to Spark, its counts are not asked for.
            self._sample()
            # The last counts are shown even if the work ended between two ticks.
            self._display.show(self._facts)
        finally:
            with self._lock:
                if self._facts.stage and not doing and self._facts.unit == "tasks":
                    self.tasks[self._facts.stage] = self._facts.total or 0
                self._counts, self._bytes_total, self._doing = None, None, ""
                self._facts = replace(self._facts, doing="", rows_per_second=None, bytes_per_second=None)
                if not timed:
                    self._stage_began += time.monotonic() - began

    def announce(self, text: str) -> None:
        """Log a line where there is no bar; only the first one of a command is shown."""
        if not self._announced:
            self._announced = True
            self._display.announce(f"{label_of(self._facts)}: {text}")

    @property
    def stage_seconds(self) -> float:
        """Seconds of the stage at work so far, without work that was not `timed`."""
        return time.monotonic() - self._stage_began

    def _begin_stage(self) -> None:
        self._stage_began = time.monotonic()
        self._facts = replace(self._facts, **_NOTHING_DONE, doing="", unit="tasks")

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            self._tick()

    def _tick(self) -> None:
        try:
            self._sample()
            with self._lock:
                facts = self._facts
                if time.monotonic() - self._written >= _WRITE:
                    self._write()
            self._display.show(facts)
        except Exception:
            # A display that fails must not end the work.
            _log.debug("progress", exc_info=True)

    def _sample(self) -> None:
        with self._lock:
            source = self._counts
        try:
            # Without the lock: it asks Spark.
            counts = source() if source else Counts()
        except Exception:
            _log.debug("progress", exc_info=True)
            return
        with self._lock:
            if source is self._counts:
                self._update(counts, counted=source is not None)

    def _update(self, counts: Counts, *, counted: bool) -> None:
        at, facts = time.monotonic(), self._facts
        self._rows.add(at, counts.rows)
        self._bytes.add(at, counts.bytes)
        seconds = at - self._stage_began
        before = self._tasks_before.get(facts.stage) if facts.unit == "tasks" else None
        doing = counts.doing or self._doing
        # Hashing, Spark's start and what the driver reads are not the stage's own work.
        share = 0.0
        if not facts.stage or (not doing and counts.total):
            share = share_done(counts, bytes_total=self._bytes_total, tasks_before=before)
        left = stage_seconds_left(seconds, share, self._stages.get(facts.stage))
        coming = list(self._stages.values())[facts.stages_done + bool(facts.stage) :]
        # Until the stages are known, hashing their inputs is no share of the command.
        at_work = share if facts.stage or (self._is_planned and not self._stages) else 0.0
        fraction = command_share(self._stages, facts.stages_done, at_work)
        shown: dict[str, Any] = {}
        if counted:
            shown = {
                "doing": doing,
                "unit": counts.unit or facts.unit,
                "done": counts.done if counts.total else None,
                "total": counts.total,
                "bytes_done": counts.bytes or None,
                "bytes": self._bytes_total,
                "rows": counts.rows,
                "rows_per_second": self._rows.per_second(),
                "bytes_per_second": self._bytes.per_second(),
            }
        self._facts = replace(
            facts,
            **shown,
            seconds=round(at - self._began, 1),
            seconds_left=command_seconds_left(left, coming) if self._is_planned else None,
            stage_seconds=round(seconds, 1),
            stage_seconds_left=left,
            fraction=max(facts.fraction, fraction),
        )

    def _write(self) -> None:
        self._written = time.monotonic()
        self._facts = replace(self._facts, updated=now())
        if self._folder is not None:
            write_facts(self._folder, self._facts)


def follow(folder: str | Path) -> Iterator[Facts]:
    """Yield the facts in progress.json of a folder or URL once a second while its command runs, and the last.

    If no command runs, waits up to 60 seconds for one to start; after that yields the facts of the last
    command, if there was one.

    Raises:
        InputError: the file is damaged.
    """
    before, deadline = read_facts(folder), time.monotonic() + WAIT_SECONDS
    while is_waiting(facts := read_facts(folder), before) and time.monotonic() < deadline:
        time.sleep(_TICK)
    while facts is not None:
        running = is_running(facts)
        yield facts
        if not running:
            return
        time.sleep(_WRITE)
        facts = read_facts(folder)


def is_waiting(facts: Facts | None, before: Facts | None) -> bool:
    """Whether no command runs, and none has begun since `before` was read."""
    if facts is None or is_running(facts):
        return facts is None
    # A short command may start and end between two looks.
    return before is not None and all(getattr(facts, name) == getattr(before, name) for name in _OF_A_COMMAND)
