"""Signals that stop a command: they print one line and exit with 128 + the signal's number."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# SIGHUP comes from a closed terminal, SIGTERM from batch systems.
_STOPPING = (signal.SIGHUP, signal.SIGTERM)
_received: list[int] = []
# At most one line.
_progress: list[str] = []


class Stopped(BaseException):
    """Raised when a signal stops the process.

    Args:
        number: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports for this signal."""
        return 128 + self.number

    def __str__(self) -> str:
        what = "interrupted" if self.number is signal.SIGINT else f"stopped by {self.number.name}"
        after = f" after {_progress[-1]}" if _progress else ""
        return f"kgcorpus: {what}{after}. Run the same command again: what is finished is kept"


def note_progress(done: int, total: int, unit: str) -> None:
    """Remember how much of a command is finished, for the line that `Stopped` prints."""
    _progress[:] = [f"{done} of {total} {unit}"]


def forget_progress() -> None:
    """Forget it when the work is finished, or before other work of the same process."""
    _progress.clear()


def stop_on_signals() -> None:
    """Raise `Stopped` on SIGHUP and SIGTERM, unless they are ignored (`nohup`) or already handled.

    SIGINT raises KeyboardInterrupt as before, and is remembered for `stopped`.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _STOPPING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _raise)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)


@contextlib.contextmanager
def killing_children() -> Iterator[None]:
    """On SIGINT, SIGHUP or SIGTERM, kill the processes that the block has started, then raise `Stopped`.

    Otherwise a JVM would keep running if Python exits before the two are connected.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found: list[int] = []
    older = _children()

    def kill(number: int, _: FrameType | None) -> None:
        found.append(number)
        for process in _children() - older:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_STOPPING)}
    replaced = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in replaced:
        signal.signal(number, kill)
    try:
        yield
    except Exception:
        # After a signal, the error is a consequence of the killed process.
        if not found:
            raise
    finally:
        for number in replaced:
            signal.signal(number, before[number])
    if found:
        raise Stopped(found[0])


def _children() -> set[int]:
    """Return the ids of child processes; empty if the kernel does not list them."""
    try:
        lists = Path("/proc/self/task").glob("*/children")
        return {int(word) for path in lists for word in path.read_text(encoding="ascii").split()}
    except OSError:
        return set()


def stopped() -> Stopped | None:
    """Return the received signal, if any.

    An error after it may be a consequence: Ctrl-C also ends Spark's JVM, and what cleans up then fails.
    """
    return Stopped(_received[0]) if _received else None


def _raise(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Stopped(number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> Any:
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, f"error: {Stopped(signal.SIGINT)}\n".encode())
    else:
        sys.__excepthook__(kind, error, trace)


def show_interrupts() -> None:
    """Print one line, not a traceback, for a Ctrl-C during the import of the command's modules."""
    if any(Path(word).name == "kgcorpus" for word in sys.orig_argv[1:3]):
        sys.excepthook = _show
