"""Ends a training run after the current step on SIGTERM or Ctrl-C."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_log = logging.getLogger(__name__)


class StopRequest:
    """Whether a signal has asked the run to stop, and which one."""

    def __init__(self) -> None:
        self._number: int | None = None

    def is_set(self) -> bool:
        """Whether this process has received a signal."""
        return self._number is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number; that of SIGTERM if another process of the run received the signal."""
        return 128 + (self._number or signal.SIGTERM)

    def receive(self, number: int, _: FrameType | None) -> None:
        """Note the first signal. A Ctrl-C after it ends the process at once.

        Raises:
            KeyboardInterrupt: this is a SIGINT, and a signal was received before.
        """
        if self._number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._number = self._number or number


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Yield the request that SIGTERM and SIGINT set; only the main thread can receive signals.

    A SIGINT that is ignored (a background job of a shell) stays ignored.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    heeded = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        heeded.append(signal.SIGINT)
    previous = {number: signal.signal(number, request.receive) for number in heeded}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_early(exit_code: int) -> SystemExit:
    """Log that the run was stopped, and return what ends the process.

    Args:
        exit_code: 128 + the signal's number.
    """
    name = signal.Signals(exit_code - 128).name
    _log.warning("stopped by %s; the steps so far are saved, and the same command continues with them", name)
    return SystemExit(exit_code)
