"""The fine-tuning loop: one run for each seed, and the epoch selected on development examples."""

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.errors import KgcorpusError, UsageError
from kgcorpus.importance.pretrained import check_embeddings, require_fast_tokenizer
from trainer.determinism import deterministic_on_cpu
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning.heads import Head
from trainer.evaluate.fine_tuning.inputs import Example, row_tensors, shuffled_batches, target_tensor
from trainer.evaluate.statistics import selection
from trainer.pretrained import load_model, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

T = TypeVar("T")
Scores = Sequence[NDArray[np.float32]]
# Without development examples: one in so many training examples, and at most so many.
_ONE_IN, _MOST = 10, 2000
_GRADIENT_NORM = 1.0
_RATE_TIMES_WIDTH = 0.03
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dev:
    """Development examples and their metric.

    Attributes:
        metric: name of the metric.
        source: where the examples are from, as the result names it.
        examples: as the encoder reads them; empty: the last epoch is kept.
        score: what `predict` returns for the examples -> the metric, higher is better.
    """

    metric: str
    source: str
    examples: Sequence[Example]
    score: Callable[[Scores], float]

    def report(self, runs: Sequence["Run"]) -> dict[str, Any]:
        """The `selection` of a result, as `trainer.evaluate.statistics.selection` gives it."""
        return selection(
            self.metric, self.source, len(self.examples), [(run.epoch, run.dev_score) for run in runs]
        )


class Run(NamedTuple):
    """One fine-tuning: its test sets' scores, the epoch kept (from 1), and the metric on `Dev` there."""

    scores: dict[str, list[NDArray[np.float32]]]
    epoch: int
    dev_score: float | None


def with_dev(training: Sequence[T], dev: Sequence[T] | None, *, source: str) -> tuple[list[T], list[T], str]:
    """The training examples, the development examples, and where these are from.

    Args:
        training: the training examples.
        dev: the development examples, or None where the data set has none: then a tenth of the training
            examples, at most 2,000, is taken from them by the hash of the place.
        source: the name of the development file.
    """
    if dev:
        return list(training), list(dev), source
    size = min(max(1, len(training) // _ONE_IN), _MOST)
    if len(training) <= size:
        return list(training), [], "no development examples: the last epoch"
    places = sorted(range(len(training)), key=lambda i: hash64("evaluate-dev", i))
    held = set(places[:size])
    kept = [item for i, item in enumerate(training) if i not in held]
    return kept, [training[i] for i in sorted(held)], f"{size} of {len(training)} training examples, by hash"


@dataclass(frozen=True)
class Base:
    """What every seed starts from: an encoder, which stays as it is, and its tokenizer."""

    encoder: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"

    @property
    def hidden(self) -> int:
        """Size of the encoder's states."""
        return int(self.encoder.config.hidden_size)

    @property
    def longest(self) -> float:
        """Tokens of the longest row that the positions reach; infinite where they are relative."""
        config = self.encoder.config
        # RoBERTa and its kin count positions from the pad's id + 1.
        skipped = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        return float(getattr(config, "max_position_embeddings", math.inf)) - skipped


def open_base(model: str | Path, *, markers: Sequence[str] = ()) -> Base:
    """Any encoder that transformers' AutoModel opens, with `markers` as further tokens.

    Weights are read from safetensors only, because other formats can run code.

    Raises:
        UsageError: it cannot be loaded, has no fast tokenizer or one of another model.
        InputError: its weights are damaged, incomplete or not finite.
    """
    from transformers import AutoModel

    where = f"model {model}"
    tokenizer = load_tokenizer(model, where=where)
    encoder = load_model(AutoModel, model, where=where)
    require_fast_tokenizer(tokenizer, where=where)
    check_embeddings(encoder, tokenizer, where=where)
    if markers:
        tokenizer.add_special_tokens({"additional_special_tokens": list(markers)})
        torch.manual_seed(hash64("markers"))
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return Base(encoder.float(), tokenizer)


class FineTuned(nn.Module):
    """An encoder with a head.

    Attributes:
        epoch: the epoch whose weights it has, from 1.
        dev_score: the metric on the development examples at that epoch; None without them.
    """

    epoch: int = 0
    dev_score: float | None = None

    def __init__(self, base: Base, head: Head, *, bf16: bool) -> None:
        super().__init__()
        self.encoder, self.head, self._bf16 = copy.deepcopy(base.encoder), head, bf16
        self._pad, self._longest = base.tokenizer.pad_token_id, base.longest
        self._typed = getattr(base.encoder.config, "type_vocab_size", 0) > 1
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.to(self.device)

    def forward(self, batch: Sequence[Example]) -> Tensor:
        """The head's scores of a batch.

        Raises:
            UsageError: the encoder's positions do not reach its rows' ends.
        """
        longest = max(example.length for example in batch)
        if longest > self._longest:
            raise UsageError(
                f"the model's positions reach {self._longest:.0f} tokens, a row has {longest}",
                where="max_length",
            )
        ids, types, mask = (x.to(self.device) for x in row_tensors(batch, pad=self._pad))
        extra = {"token_type_ids": types} if self._typed else {}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            states = self.encoder(input_ids=ids, attention_mask=mask.long(), **extra).last_hidden_state
        scores: Tensor = self.head(states.float(), mask)
        return scores

    def loss(self, batch: Sequence[Example]) -> Tensor:
        """The mean loss of a batch."""
        return self.head.loss(self(batch), target_tensor(batch).to(self.device))


@deterministic_on_cpu()
def finetune(
    base: Base,
    make_head: Callable[[int], Head],
    examples: Sequence[Example],
    config: EvaluationConfig,
    *,
    seed: int,
    dev: Dev | None = None,
) -> FineTuned:
    """Train a copy of the encoder and a new head on the examples.

    AdamW with linear warm-up and decay, gradients clipped to norm 1. The head, the order and the dropout are
    drawn from the seed.

    Args:
        base: the encoder to start from.
        make_head: size of the states -> head.
        examples: to learn from.
        config: how.
        seed: of all draws.
        dev: selects the epoch: the first one with the highest score; without it the last one is kept.

    Returns:
        The weights of the selected epoch, in evaluation mode.

    Raises:
        UsageError: an example is longer than the encoder's positions reach.
        KgcorpusError: a loss that is not finite.
    """
    torch.manual_seed(hash64(seed, "finetune"))
    tuned = FineTuned(base, make_head(base.hidden), bf16=config.precision == "bf16")
    matrices = [p for p in tuned.parameters() if p.ndim > 1]
    vectors = [p for p in tuned.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=config.lr or _RATE_TIMES_WIDTH / base.hidden,
    )
    steps = config.epochs * -(-len(examples) // config.batch)
    warmup = max(1, round(config.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
    )
    best: dict[str, Tensor] = {}
    for epoch in range(config.epochs):
        tuned.train()
        for batch in shuffled_batches(examples, config.batch, Draw(seed, "finetune-order", epoch)):
            step = schedule.last_epoch
            torch.manual_seed(hash64(seed, "finetune-step", step))
            loss = tuned.loss(batch)
            if not torch.isfinite(loss):
                raise KgcorpusError(
                    f"the loss is {loss.item()}", where=f"fine-tuning, step {step + 1}", hint="Lower lr"
                )
            loss.backward()
            nn.utils.clip_grad_norm_(tuned.parameters(), _GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        _log.info("seed %d: epoch %d of %d, loss %.3f", seed, epoch + 1, config.epochs, loss.item())
        if dev is None or not dev.examples:
            tuned.epoch = epoch + 1
            continue
        score = dev.score(predict(tuned.eval(), dev.examples, batch=config.batch))
        _log.info("seed %d: epoch %d, %s on dev %.4f", seed, epoch + 1, dev.metric, score)
        if tuned.dev_score is None or score > tuned.dev_score:
            tuned.epoch, tuned.dev_score = epoch + 1, score
            best = {name: value.detach().clone() for name, value in tuned.state_dict().items()}
    if best:
        tuned.load_state_dict(best)
    return tuned.eval()


@torch.inference_mode()
def predict(tuned: FineTuned, examples: Sequence[Example], *, batch: int) -> list[NDArray[np.float32]]:
    """Each example's scores: [outputs], a number [], or [its length, classes or 2]."""
    order = sorted(range(len(examples)), key=lambda i: examples[i].length)
    found: dict[int, NDArray[np.float32]] = {}
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        scores = tuned([examples[i] for i in chosen]).cpu().numpy()
        for i, score in zip(chosen, scores, strict=True):
            found[i] = score[: examples[i].length] if score.ndim > 1 else score
    return [found[i] for i in range(len(examples))]


def scores_by_seed(
    base: Base,
    make_head: Callable[[int], Head],
    examples: Sequence[Example],
    tests: Mapping[str, Sequence[Example]],
    config: EvaluationConfig,
    dev: Dev | None = None,
) -> list[Run]:
    """Fine-tune once for each seed and predict each of the test sets at the epoch that `dev` selects."""
    found = []
    for seed in config.seeds:
        tuned = finetune(base, make_head, examples, config, seed=seed, dev=dev)
        scores = {name: predict(tuned, tests[name], batch=config.batch) for name in tests}
        found.append(Run(scores, tuned.epoch, tuned.dev_score))
    return found
