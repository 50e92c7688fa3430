"""Prefetches the next step's batches in a thread, so that the device does not wait for them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Steps made one ahead, by a thread; the state is the one a reader without it would have.

    Args:
        make: from a step's number to what it reads; moves the streams on.
        state: the positions of the streams, as JSON.
        load_state: takes the streams back to such a state.
    """

    def __init__(
        self,
        make: Callable[[int], T],
        *,
        state: Callable[[], dict[str, Any]],
        load_state: Callable[[dict[str, Any]], None],
    ) -> None:
        self._make, self._streams_state, self._load_streams = make, state, load_state
        self._state = state()
        self._coming: tuple[int, Future[tuple[T, dict[str, Any]]]] | None = None
        self._worker = ThreadPoolExecutor(max_workers=1)

    def take(self, step: int) -> T:
        """What the step reads; the next one is begun."""
        taken, self._state = self._coming_to(step).result()
        self._coming = step + 1, self._worker.submit(self._make_one, step + 1)
        return taken

    def peek(self, step: int) -> T:
        """What the step will read; `take` gives the same, and the state stays."""
        return self._coming_to(step).result()[0]

    def _coming_to(self, step: int) -> "Future[tuple[T, dict[str, Any]]]":
        if self._coming and self._coming[0] != step:
            # Another step than the next one begins where the last one that was taken ended.
            self.load_state(self._state)
        if not self._coming:
            self._coming = step, self._worker.submit(self._make_one, step)
        return self._coming[1]

    def state(self) -> dict[str, Any]:
        """Where the streams stood after the last step that was taken."""
        return self._state

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""
        if self._coming:
            # It reads from the streams.
            self._coming[1].exception()
        self._coming, self._state = None, state
        self._load_streams(state)

    def _make_one(self, step: int) -> tuple[T, dict[str, Any]]:
        return self._make(step), self._streams_state()
