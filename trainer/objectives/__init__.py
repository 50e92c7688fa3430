"""What the training loop asks of an objective; one file for each system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn


@dataclass(frozen=True)
class Batch:
    """What one forward pass reads.

    Attributes:
        inputs: the model's keyword arguments.
        counts: [terms], how many labels each term of the loss has in it.
        records: ids of its records.
        tokens: its tokens, padding left out.
    """

    inputs: dict[str, NDArray[Any]]
    counts: NDArray[np.int64]
    records: list[str]
    tokens: int


class Objective(Protocol):
    """A loss of weighted terms, the model it trains and the records it reads."""

    @property
    def terms(self) -> Mapping[str, float]:
        """Name -> weight.

        The loss of a step is the weighted sum of the terms, each the mean over all its labels in the step,
        on every rank.
        """

    @property
    def model(self) -> nn.Module:
        """What is trained; `model(**inputs)` gives each term's summed loss [terms]."""

    @property
    def total_steps(self) -> int:
        """Steps over which the learning rate runs, and of a run without `max_steps`."""

    def next_step(self, step: int) -> Sequence[Batch]:
        """This rank's batches, at least one, for the optimizer step after `step` steps."""

    def state(self) -> dict[str, Any]:
        """Everything but weights that the next steps depend on, as JSON."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""

    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer."""

    def load(self, folder: Path) -> None:
        """Read the weights that `save` wrote."""
