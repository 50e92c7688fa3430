"""KMLM (arXiv 2111.10962, section 3.2): plain text, code-switched triples and cycles in one loss."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.tokens import ensure_tokens
from trainer.config import TrainingConfig
from trainer.kmlm.config import STREAM_TABLES
from trainer.kmlm.masking import RELATION, mask_cycles
from trainer.masked_lm import PackedMaskedLM, load_lm
from trainer.masking import Masked, Vocabulary, concatenated, mask_share
from trainer.objectives import Batch, Objective
from trainer.packing import pack
from trainer.prefetch import Prefetcher
from trainer.pretrained import save_model
from trainer.schedule import Phase
from trainer.shards import Record, ShardStream

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


class MaskedLoss(nn.Module):
    """Summed cross-entropy of the predicted tokens, by term."""

    def __init__(self, packed: PackedMaskedLM, terms: int) -> None:
        super().__init__()
        self.packed, self._terms = packed, terms

    def forward(
        self,
        *,
        ids: Tensor,
        segments: Tensor,
        positions: Tensor,
        where: Tensor,
        labels: Tensor,
        term: Tensor,
        scale: Tensor | None = None,
    ) -> Tensor:
        """The sums [terms].

        Args:
            ids, segments, positions: [rows, length].
            where: [labels], the predicted tokens' places in the flattened rows.
            labels: [labels], what stood there.
            term: [labels], which term each counts for.
            scale: [terms], by which the sums will be multiplied before the backward pass.
        """
        states = self.packed.states(ids, segments, positions, at=where)
        losses = self.packed.losses(states, labels, factors=None if scale is None else scale[term])
        # A product instead of index_add, whose order of summation varies on a GPU.
        member = term[None, :] == torch.arange(self._terms, device=term.device)[:, None]
        return (losses[None, :] * member).sum(dim=1)


class Kmlm(Objective):
    """L = L_plain + alpha (L_code_switched + L_reasoning), over the streams that the corpus has.

    A step reads `records_per_step` records of each stream and packs them into one forward pass. The plain
    stream, or without it the longest, sets the epoch; the others wrap. After the scheduled steps may follow
    `long_steps` on plain text only, of longer passages, with as many tokens a step and a learning rate of
    their own.

    Args:
        config: of the run.
        files: stream -> token files; none for a stream that the corpus lacks.
        validation_files: the same of the validation split.
        tokenizer: theirs.
        rank, world: which share of the records this process reads.

    Raises:
        InputError: no stream has a record.
        UsageError: fewer records a step than ranks, or long steps without plain text.
    """

    model: MaskedLoss

    def __init__(
        self,
        config: TrainingConfig,
        *,
        files: Mapping[str, Sequence[Path]],
        tokenizer: "PreTrainedTokenizerFast",
        rank: int = 0,
        world: int = 1,
        validation_files: Mapping[str, Sequence[Path]] | None = None,
    ) -> None:
        if config.records_per_step < world:
            raise UsageError(
                f"{config.records_per_step} records a step are fewer than {world} ranks",
                where="records_per_step",
            )
        self._config, self._options, self._world, self._tokenizer = config, config.kmlm, world, tokenizer
        shared: dict[str, Any] = {"seed": config.seed, "rank": rank, "world": world}
        exponents = {"plain": self._options.language_exponent}
        self._streams: dict[str, ShardStream[Record]] = {
            name: ShardStream[Record](
                files[name],
                name=name,
                max_length=config.max_length,
                language_exponent=exponents.get(name, 1.0),
                **shared,
            )
            for name in self._options.streams
            if files.get(name)
        }
        self._streams = {name: stream for name, stream in self._streams.items() if stream.rows}
        for name, stream in self._streams.items():
            _log.info("%s: %s", name, stream.describe())
        for name in self._options.streams:
            if name not in self._streams:
                _log.warning("%s: the corpus has no record of %s for it", name, STREAM_TABLES[name])
        if not self._streams:
            raise InputError(
                "no records to train on",
                where=", ".join(STREAM_TABLES[name] for name in self._options.streams),
                hint="Build these shards, or raise max_length",
            )
        self.terms = {name: 1.0 if name == "plain" else self._options.alpha for name in self._streams}
        leader = self._streams.get("plain") or max(self._streams.values(), key=lambda stream: stream.rows)
        self._main_steps = config.steps_of_schedule(leader.rows, config.records_per_step)
        self.total_steps = self._main_steps + self._options.long_steps
        self._all_streams = dict(self._streams)
        longest = config.max_length
        if self._options.long_steps:
            if "plain" not in self._streams:
                raise UsageError("there is no plain text for the long steps", where="kmlm.long_steps")
            longest = max(longest, self._options.long_length)
            self._all_streams["long"] = ShardStream(
                files["plain"],
                name="long",
                max_length=self._options.long_length,
                language_exponent=self._options.language_exponent,
                **shared,
            )
        self._vocabulary = Vocabulary.of_tokenizer(tokenizer)
        self.model = MaskedLoss(load_lm(config, tokenizer, longest=longest), len(self.terms))
        self._validation = self._sample(validation_files or {}, shared)
        self._prefetcher = Prefetcher(self._make, state=self._streams_state, load_state=self._load_streams)

    def phases(self, config: TrainingConfig) -> Sequence[Phase]:
        """The main phase, and the long one with warm-up and decay of its own."""
        options = self._options
        main = Phase.of(config, steps=self._main_steps)
        if not options.long_steps:
            return (main,)
        warmup = config.lr_warmup if options.long_warmup is None else options.long_warmup
        peak = options.long_lr or config.lr
        long = replace(main, first=self._main_steps, steps=options.long_steps, peak=peak, warmup=warmup)
        return main, long

    def next_step(self, step: int) -> list[Batch]:
        """This rank's batches for the optimizer step after `step` steps."""
        return self._prefetcher.take(step)

    def state(self) -> dict[str, Any]:
        """The position of each stream."""
        return self._prefetcher.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""
        self._prefetcher.load_state(state)

    def validation(self) -> Mapping[str, Sequence[Batch]]:
        """This rank's batches of the validation records of each stream."""
        return {"": self._validation}

    def right(self, batch: Batch, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """For each stream, which predicted tokens are right; for cycles, which hidden relations are.

        A relation is right if all its hidden tokens are. Hidden entities of cycles are not counted.
        """
        packed = self.model.packed
        rows = (inputs[name] for name in ("ids", "segments", "positions"))
        states = packed.states(*rows, at=inputs["where"])
        right = packed.best(packed.transform(states)) == inputs["labels"]
        found = {name: right[inputs["term"] == i] for i, name in enumerate(self.terms)}
        if "reasoning" in found:
            relation = torch.tensor(batch.questions, device=right.device)
            _, number = relation[relation >= 0].unique(return_inverse=True)
            whole = torch.ones(int(number.max()) + 1 if len(number) else 0, device=right.device)
            whole.scatter_reduce_(0, number, right[relation >= 0].float(), "amin")
            found["reasoning"] = whole.bool()
        return found

    def _sample(self, files: Mapping[str, Sequence[Path]], shared: Mapping[str, Any]) -> list[Batch]:
        if self._config.validate_every is None:
            return []
        length, taken = self._config.max_length, {}
        for name in self._streams:
            stream = ShardStream[Record](files.get(name, ()), name=name, max_length=length, **shared)
            if count := min(stream.rows, self._config.validation_records):
                taken[name] = stream.take(count)
        if not taken:
            raise InputError(
                "no records to validate on",
                where=", ".join(
                    STREAM_TABLES[name] for name in self._options.streams if name in self._streams
                ),
                hint="Leave validate_every out, or build a larger corpus",
            )
        return self._batches(taken, length, relations=True)

    def _make(self, step: int) -> list[Batch]:
        count = self._config.records_per_step
        if self._options.long_steps and step >= self._main_steps:
            length = self._options.long_length
            count = max(self._world, count * self._config.max_length // length)
            return self._batches({"plain": self._all_streams["long"].take(count)}, length)
        taken = {name: stream.take(count) for name, stream in self._streams.items()}
        return self._batches(taken, self._config.max_length)

    def _streams_state(self) -> dict[str, Any]:
        return {name: stream.state() for name, stream in self._all_streams.items()}

    def _load_streams(self, state: dict[str, Any]) -> None:
        for name, stream in self._all_streams.items():
            stream.load_state(state[name])

    def save(self, folder: Path) -> None:
        """Write a plain transformers model and its tokenizer."""
        save_model(self.model.packed.lm, self._tokenizer, folder)

    def load(self, folder: Path) -> None:
        """Read the weights that `save` wrote."""
        from safetensors.torch import load_model

        load_model(self.model.packed.lm, folder / "model.safetensors")

    def _mask(self, stream: str, records: Sequence[Record]) -> Masked:
        seed = self._config.seed
        if stream == "reasoning" and self._options.reasoning_mask == "relations":
            return mask_cycles(records, self._vocabulary, seed=seed, stream=stream)
        return mask_share(
            records,
            self._vocabulary,
            share=self._options.mlm_probability,
            slots_only=stream != "plain",
            seed=seed,
            stream=stream,
        )

    def _batches(
        self, taken: Mapping[str, Sequence[Record]], length: int, *, relations: bool = False
    ) -> list[Batch]:
        """Mask each stream by its own rule, pack all together, cut the rows into forward passes.

        Args:
            taken: records of each stream.
            length: tokens of a row.
            relations: number the cycles' relations in the batches' `questions`; -1 for other tokens.
        """
        masked = [self._mask(name, records) for name, records in taken.items()]
        records = [record for part in taken.values() for record in part]
        sizes = np.array([len(record.ids) for record in records], np.int64)
        packed = pack(
            np.concatenate([part.ids for part in masked]), sizes, length=length, pad=self._vocabulary.pad
        )
        width = packed.ids.shape[1]
        predicted = np.concatenate([part.predicted for part in masked])
        labels = np.concatenate([part.labels for part in masked])[predicted].astype(np.int64)
        number = {name: i for i, name in enumerate(self.terms)}
        term = np.repeat([number[name] for name in taken], [len(part.ids) for part in masked])[predicted]
        asked = _relations(taken)[predicted] if relations else None
        where = packed.flat[predicted]
        row_of_record = packed.flat[np.cumsum(sizes) - sizes] // width
        batches = []
        for first in range(0, len(packed.ids), self._config.rows_per_forward):
            rows = slice(first, first + self._config.rows_per_forward)
            inside = (where >= rows.start * width) & (where < rows.stop * width)
            here = (row_of_record >= rows.start) & (row_of_record < rows.stop)
            batches.append(
                Batch(
                    inputs={
                        "ids": packed.ids[rows],
                        "segments": packed.segments[rows],
                        "positions": packed.positions[rows],
                        "where": where[inside] - first * width,
                        "labels": labels[inside],
                        "term": term[inside],
                    },
                    counts=np.bincount(term[inside], minlength=len(self.terms)),
                    records=[records[i].id for i in np.flatnonzero(here)],
                    tokens=int(sizes[here].sum()),
                    questions=() if asked is None else asked[inside].tolist(),
                    scaled=True,
                )
            )
        return batches


def _relations(taken: Mapping[str, Sequence[Record]]) -> NDArray[np.int64]:
    """[tokens] a number for each relation of a cycle, the same for all its tokens; -1 for other tokens."""
    parts: list[NDArray[np.int64]] = []
    for name, records in taken.items():
        for record in records:
            first = len(parts) << 16
            is_relation = (record.slot == RELATION) & (name == "reasoning")
            parts.append(np.where(is_relation, first + record.sentence.astype(np.int64), -1))
    return concatenated(parts, np.int64)


def build_kmlm(
    config: TrainingConfig,
    corpus: Path,
    out: Path,
    tokenizer: "PreTrainedTokenizerFast",
    accelerator: "Accelerator",
) -> Kmlm:
    """Return the objective of a run, on the training shards of its streams."""
    mask, backend = str(tokenizer.mask_token), tokenizer.backend_tokenizer
    made = {
        stream: ensure_tokens(corpus, STREAM_TABLES[stream], backend, mask_token=mask, splits=config.splits)
        for stream in config.kmlm.streams
    }
    return Kmlm(
        config,
        files={stream: splits["train"] for stream, splits in made.items()},
        validation_files={stream: splits.get("validation", []) for stream, splits in made.items()},
        tokenizer=tokenizer,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )
