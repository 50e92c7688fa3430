"""Signals that stop a command: one line and 128 + the signal's number, never a trace."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# A closed terminal sends the first one, a batch system the second.
_STOPPING = (signal.SIGHUP, signal.SIGTERM)
_received: list[int] = []


class Stopped(BaseException):
    """A signal asked the process to stop.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that the signal ended."""
        return 128 + self.number

    def __str__(self) -> str:
        what = "interrupted" if self.number is signal.SIGINT else f"stopped by {self.number.name}"
        return f"kgcorpus: {what}. Run the same command again: what is finished is kept"


def stop_on_signals() -> None:
    """Raise `Stopped` on SIGHUP and SIGTERM, unless they are ignored (`nohup`) or handled already."""
    if threading.current_thread() is threading.main_thread():
        for number in _STOPPING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _raise)


@contextlib.contextmanager
def killing_children() -> Iterator[None]:
    """On SIGINT, SIGHUP or SIGTERM, kill what the block has started, and raise `Stopped` when it ends.

    A JVM whose starter goes away before the two are connected would stay.
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
        # That what was started is gone.
        if not found:
            raise
    finally:
        for number in replaced:
            signal.signal(number, before[number])
    if found:
        raise Stopped(found[0])


def _children() -> set[int]:
    """Processes that this one started; empty where the kernel does not list them."""
    try:
        lists = Path("/proc/self/task").glob("*/children")
        return {int(word) for path in lists for word in path.read_text(encoding="ascii").split()}
    except OSError:
        return set()


def stopped() -> Stopped | None:
    """The signal that was received, if any: a library may turn `Stopped` into an error of its own."""
    return Stopped(_received[0]) if _received else None


def _raise(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Stopped(number)


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> Any:
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, f"error: {Stopped(signal.SIGINT)}\n".encode())
    else:
        sys.__excepthook__(kind, error, trace)


def show_interrupts() -> None:
    """Print one line, too, for a Ctrl-C that comes while the command's modules are imported."""
    if any(Path(word).name == "kgcorpus" for word in sys.orig_argv[1:3]):
        sys.excepthook = _show
