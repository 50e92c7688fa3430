"""TRELM's passages: those of a split, and the fixed sample of each validation."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from kgcorpus.contracts.errors import InputError
from trainer.config import TrainingConfig
from trainer.objectives import Batch
from trainer.shards import MentionRecord, ShardStream
from trainer.trelm.batches import Packer, Pending
from trainer.trelm.examples import ExampleMaker
from trainer.trelm.guesses import Guesses, is_best
from trainer.trelm.inputs import TrelmInputs
from trainer.trelm.model import TrelmModel
from trainer.trelm.negatives import NegativeSampler


def open_passages(
    files: Sequence[Path], config: TrainingConfig, *, rank: int, world: int
) -> ShardStream[MentionRecord]:
    """Open the passages of a split.

    Raises:
        InputError: there are none.
    """
    stream: ShardStream[MentionRecord] = ShardStream(
        files, name="trelm", seed=config.seed, max_length=config.max_length, rank=rank, world=world
    )
    if not stream.rows:
        raise InputError("no records to read", where="trelm", hint="Build the target trelm")
    return stream


class HeldOut:
    """The fixed sample of the validations: with facts injected, and where training injects also without.

    Args:
        files: token files of the validation split.
        config: of the run.
        maker, packer, negatives: of the run.
        guesses: of the training split; None: the scores are corrected in training (`logq`).
        rank, world: which share of the passages this process reads.

    Raises:
        InputError: there are no passages.
    """

    def __init__(
        self,
        files: Sequence[Path],
        config: TrainingConfig,
        maker: ExampleMaker,
        packer: Packer,
        negatives: NegativeSampler,
        guesses: Guesses | None,
        *,
        rank: int,
        world: int,
    ) -> None:
        self._packer, self._negatives, self._guesses = packer, negatives, guesses
        self._parts: dict[str, list[Pending]] = {}
        if config.validate_every is None:
            return
        stream = open_passages(files, config, rank=rank, world=world)
        examples = maker.make(stream.take(min(stream.rows, config.validation_records)))
        shares = {"": 1.0} if config.trelm.inject == "none" else {"": 1.0, "without_injection": 0.0}
        # A rank may have no passage.
        self._parts = {
            part: packer.pending(examples, step=0, share=share, writes=False) if examples else []
            for part, share in shares.items()
        }

    def batches(self) -> dict[str, list[Batch]]:
        """This rank's batches by part, without memory."""
        return {part: self._packer.read(pending, weight=0.0) for part, pending in self._parts.items()}

    def right(self, model: TrelmModel, batch: Batch, inputs: TrelmInputs[Tensor]) -> dict[str, Tensor]:
        """Whether the best-scored token of the vocabulary is the true one: [predicted], and [asked for].

        Scores of CKA are corrected by the log q of the negatives (`Guesses.log_q`); the tokens of other true
        answers do not compete.
        """
        packed, states = model.packed, model.states(inputs)
        predicted = packed.transform(states.index_select(0, inputs.where))
        scores = packed.scores(model.asked_states(states, inputs))
        asked = [
            is_best(score.float().cpu().numpy(), token, self._negatives, self._guesses)
            for score, token in zip(scores, batch.questions, strict=True)
        ]
        return {"mlm": packed.best(predicted) == inputs.labels, "cka": torch.tensor(asked, dtype=torch.bool)}
