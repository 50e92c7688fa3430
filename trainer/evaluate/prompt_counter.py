"""How many prompts of a benchmark were answered, for the display of progress."""

from kgcorpus.report.progress import Counts


class PromptCounter:
    """Counts of prompts; the total is of those announced so far."""

    def __init__(self) -> None:
        self._done = self._total = 0

    def announce(self, count: int) -> None:
        """Announce prompts before they are answered."""
        self._total += count

    def answer(self, count: int) -> None:
        """Count answered prompts."""
        self._done += count

    def restart(self) -> None:
        """Start from 0, before another model or benchmark."""
        self._done = self._total = 0

    def counts(self) -> Counts:
        """Return the counts; without a total if no prompt was announced."""
        return Counts(done=self._done, total=max(self._done, self._total) if self._total else None)


prompt_counter = PromptCounter()
