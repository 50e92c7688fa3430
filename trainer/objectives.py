"""The interface between the training loop and an objective: `Batch`, `Prepared`, `Objective`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainer.config import TrainingConfig
from trainer.schedule import Phase

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Batch:
    """What one forward pass reads.

    Attributes:
        inputs: the model's keyword arguments, a tensor if it is on the device already.
        counts: [terms], how many labels each term of the loss has in it.
        records: ids of its records.
        tokens: its tokens, padding left out.
        questions: what `Objective.right` needs to know about the labels besides the inputs, in their order.
        scaled: the model's forward pass also takes `scale` [terms], by which its sums will be multiplied
            before the backward pass.
    """

    inputs: Mapping[str, NDArray[Any] | Tensor]
    counts: NDArray[np.int64]
    records: list[str]
    tokens: int
    questions: Sequence[Any] = ()
    scaled: bool = False


@dataclass(frozen=True)
class Prepared:
    """What an objective did before a step.

    Attributes:
        events: lines for the metrics, each with a field `event`.
        rewired: the set of trained parameters has changed, so the model has to be wrapped again.
    """

    events: tuple[dict[str, Any], ...] = ()
    rewired: bool = False


class Objective(ABC):
    """A loss of weighted terms, the model it trains and the records it reads.

    The loss of a step is the weighted sum of the terms, each the mean over all its labels in the step, on
    every rank.

    Attributes:
        terms: name -> weight.
        model: what is trained; `model(**inputs)` gives each term's summed loss [terms].
        total_steps: steps over which the learning rate runs, and of a run without `max_steps`.
    """

    terms: Mapping[str, float]
    model: nn.Module
    total_steps: int

    @abstractmethod
    def next_step(self, step: int) -> Sequence[Batch]:
        """This rank's batches, at least one, for the optimizer step after `step` steps."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything but tensors that the next steps depend on, as JSON."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""

    def collect(self) -> None:  # noqa: B027
        """Bring to the main rank what the ranks hold apart; all of them call it before the main one saves."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer."""

    def save_memory(self, folder: Path) -> None:  # noqa: B027
        """Write what `save` writes beside the weights of `model`, for a sharded checkpoint (`sharding`)."""

    def load_memory(self, folder: Path) -> None:  # noqa: B027
        """Read what `save_memory` wrote."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read the weights that `save` wrote."""

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The optimizer's groups: matrices with weight decay, biases and norms without.

        A group may have an `lr_scale` and an `lr_warmup` (`trainer.schedule.set_learning_rates`).
        """
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]

    def phases(self, config: TrainingConfig) -> Sequence[Phase]:
        """The phases of the learning rate: one over all steps."""
        return (Phase.of(config, steps=self.total_steps),)

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Get ready for the step after `step` steps; the checkpoint of `step` is already written.

        It may exchange parameters in the optimizer's groups and state, in place.
        """
        return Prepared()

    def reduce_gradients(self, accelerator: "Accelerator") -> None:  # noqa: B027
        """Average over the ranks the gradients that DistributedDataParallel leaves out, before the clip."""

    def validation(self) -> Mapping[str, Sequence[Batch]]:
        """This rank's batches of a fixed sample of the validation split (`validate_every`).

        Returns:
            part -> batches. The part "" gives the loss of the validation; others are the same sample read in
            another way, such as "without_injection".
        """
        return {"": ()}

    def right(self, batch: Batch, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """For terms that ask questions: whether the best-scored answer is the right one, [questions].

        Args:
            batch: one of `validation`.
            inputs: the batch's, on the model's device; the model is in evaluation mode.
        """
        return {}

    def after_step(self, step: int, accelerator: "Accelerator") -> Mapping[str, float]:
        """Take note of an optimizer step, `step` of which are done now.

        Returns:
            Numbers for the step's line of metrics.
        """
        return {}
