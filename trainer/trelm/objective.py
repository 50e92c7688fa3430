"""TRELM (arXiv 2403.11203): masked-language modelling with knowledge injected and asked for."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.errors import UsageError
from kgcorpus.tokens import ensure_tokens
from trainer.config import TrainingConfig
from trainer.masked_lm import load_lm
from trainer.objectives import Batch, Objective, Prepared
from trainer.prefetch import Prefetcher
from trainer.pretrained import save_model
from trainer.trelm.batches import Pending
from trainer.trelm.builder import Builder
from trainer.trelm.examples import Example, Slots, without_injection
from trainer.trelm.graph import Graph, open_graph
from trainer.trelm.held_out import HeldOut, open_passages
from trainer.trelm.inputs import TrelmInputs
from trainer.trelm.inventory import WordFinder, take_inventory
from trainer.trelm.memory import MemoryBank, decayed, memory_weight, pretrained_embeddings, tokens_of_words
from trainer.trelm.model import TrelmModel, join_seen, tensors_of
from trainer.trelm.routing.layers import RoutedLayers
from trainer.trelm.routing.low_rank import LowRank
from trainer.trelm.routing.router import Routable, Router, resolve_mode
from trainer.trelm.routing.table import TableRows
from trainer.trelm.run_files import (
    embeddings_of,
    load_extras,
    load_memory,
    report_missing,
    save_extras,
    save_memory,
)

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
# What the line of a step counts, over all ranks.
_COUNTED = ("mentions", "without_importance", "selected", "without_fact", "targets", "injected", "cka_tokens")


class _Made(NamedTuple):
    """A step's examples, and its batches before the memory is read."""

    examples: list[Example]
    pending: list[Pending]


class Trelm(Objective):
    """L = theta L_MLM + (1 - theta) L_CKA from one forward pass (eq. 3), each a mean over its tokens.

    Args:
        config: of the run.
        files: token files of the training split.
        validation_files: those of the validation split.
        tokenizer: theirs.
        graph: the corpus's facts and names.
        kge: folder of frozen vectors, for the provider `transe`.
        routes: where the knowledge paths are logged.
        rank, world: which share of the records this process reads.
        ranks: the processes that share the memory; None: only this one.

    Raises:
        InputError: no records, or no vectors.
        UsageError: fewer records a step than ranks.
    """

    model: TrelmModel

    def __init__(
        self,
        config: TrainingConfig,
        *,
        files: Sequence[Path],
        tokenizer: "PreTrainedTokenizerFast",
        graph: Graph,
        kge: Path | None,
        routes: Path,
        rank: int = 0,
        world: int = 1,
        ranks: "Accelerator | None" = None,
        validation_files: Sequence[Path] = (),
    ) -> None:
        if config.records_per_step < world:
            raise UsageError(
                f"{config.records_per_step} records a step are fewer than {world} ranks",
                where="records_per_step",
            )
        config = config.model_copy(update={"trelm": resolve_mode(config)})
        self._config, self._options, self._tokenizer, self._kge = config, config.trelm, tokenizer, kge
        self._stream = open_passages(files, config, rank=rank, world=world)
        _log.info("trelm: %s", self._stream.describe())
        self.terms = {"mlm": config.trelm.theta, "cka": 1 - config.trelm.theta}
        self.total_steps = config.steps_of_schedule(self._stream.rows, config.records_per_step)
        packed = load_lm(config, tokenizer, longest=config.max_length)
        hidden = int(packed.lm.config.hidden_size)
        if packed.table.shape[1] != hidden:
            raise UsageError(
                f"trelm needs word embeddings as wide as the states ({hidden}), not {packed.table.shape[1]}",
                where="base_model",
                hint="Choose another base_model",
            )
        if config.trelm.routing.mode != "none":
            packed.require("ROUTES", "trelm.routing", otherwise="Set trelm.routing.mode: none. ")
        builder = Builder.of(config.trelm, tokenizer, graph, kge=kge, hidden=hidden, seed=config.seed)
        finder = WordFinder(tokenizer)
        inventory = take_inventory(
            files,
            config.trelm,
            words=finder,
            vocabulary=len(tokenizer),
            special_ids=tokenizer.all_special_ids,
        )
        _log.info("trelm: %s", ", ".join(f"{n} {name}" for name, n in inventory.counts.items()))
        slots = None
        self._memory: MemoryBank | None = None
        if config.trelm.memory.enabled:
            slots = Slots(inventory.entities, inventory.words, finder)
            initial = None
            if config.trelm.memory.literal:
                words = tokens_of_words(files, inventory.words, finder)
                table = packed.table
                initial = pretrained_embeddings(inventory.entities, words, builder.labels, table=table)
            self._memory = MemoryBank(len(slots), hidden, config.trelm.memory, ranks, initial=initial)
            _log.info("memory: %d entities, %d words", len(inventory.entities), len(inventory.words))
        self._maker = builder.maker(
            builder.chooser(min_si=inventory.min_si), share=config.trelm.mlm_probability, slots=slots
        )
        negatives = builder.negatives(inventory.unigrams)
        self._packer = builder.packer(
            negatives,
            memory=self._memory,
            length=config.max_length,
            rows=config.rows_per_forward,
        )
        self._collected: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()
        self._cpu = time.process_time()
        self.model = builder.model(packed)
        stream = self._stream
        guesses = None if config.trelm.logq else builder.guesses(negatives, inventory.unigrams)
        parts = (self._maker, self._packer, negatives, guesses)
        self._held_out = HeldOut(validation_files, config, *parts, rank=rank, world=world)
        self._prefetcher = Prefetcher(self._make, state=stream.state, load_state=stream.load_state)
        self._router = self._make_router(routes) if config.trelm.routing.mode != "none" else None

    def next_step(self, step: int) -> list[Batch]:
        """This rank's batches for the optimizer step after `step` steps, made beside the step before.

        The memory is read now: the step before has written to it.
        """
        made = self._prefetcher.take(step)
        self._counts = _count(made.examples)
        return self._packer.read(made.pending, weight=self._memory_weight(step))

    def validation(self) -> Mapping[str, Sequence[Batch]]:
        """This rank's batches of the validation passages, with injection and without, and without memory."""
        return self._held_out.batches()

    def right(self, batch: Batch, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Which predicted tokens, and which tokens of labels, have the best score of the vocabulary."""
        return self._held_out.right(self.model, batch, TrelmInputs.of(inputs))

    def probe(self, step: int) -> list[Callable[[], Tensor]]:
        """What gives log P of some tokens of the step to come, at least `routing.tokens` if it has them.

        Returns:
            Functions that run the model on one batch each and return log P [tokens], of the same tokens at
            each call, differentiable in everything that the model computes.
        """
        if self._options.routing.probe == "cka":
            batches = self._probed(step, _asked_for)
            log_probability = self.model.cka_log_probability
        else:
            batches = self._probed(step, _predicted, plain=True)
            log_probability = self.model.mlm_log_probability
        device = self.model.packed.table.device
        return [partial(log_probability, tensors_of(batch, device)) for batch in batches]

    def losses(self, step: int, accelerator: "Accelerator") -> list[Callable[[], Tensor]]:
        """Parts of the total loss of some examples of the step to come, of at least `routing.tokens` tokens.

        Returns:
            Functions that run the model on one batch each; averaged over the ranks, their sum is the loss.
        """
        batches = self._probed(step, _asked_for)
        device = self.model.packed.table.device
        counts = torch.from_numpy(np.sum([batch.counts for batch in batches], axis=0)).to(device)
        counts = accelerator.reduce(counts, "sum").clamp(min=1)
        weights = torch.tensor(list(self.terms.values()), device=device) / counts
        weights = weights.float() * accelerator.num_processes
        inputs = [tensors_of(batch, device).as_dict() for batch in batches]
        return [partial(self._weighted_loss, weights, own) for own in inputs]

    def touched(self, step: int) -> Tensor:
        """The rows of the embedding table that the step trains (`routing.also`), ascending."""
        made = self._prefetcher.peek(step)
        parts = [part.inputs for part in made.pending]
        rows = [inputs.asked_labels for inputs in parts]
        if "table" in self._options.routing.also:
            rows += [ids for inputs in parts for ids in _read_or_scored(inputs)]
        else:
            spans = [(e.labels, q.target) for e in made.examples for q in e.questions]
            rows += [labels[target.start : target.end] for labels, target in spans]
        return torch.from_numpy(np.unique(np.concatenate([part.ravel() for part in rows])).astype(np.int64))

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """As of every objective; the rows of the table are left out, those of neurons may have a rate."""
        groups, scale = super().parameter_groups(weight_decay), self._options.routing.row_lr_scale
        table, routed = self.model.packed.tied_table, getattr(self.model, "routed", None)
        left_out = {table.values} if isinstance(table, TableRows) else set()
        rows = set(routed.parameters()) if isinstance(routed, RoutedLayers) and scale != 1 else set()
        found = [{**g, "params": [p for p in g["params"] if p not in left_out | rows]} for g in groups]
        if scale != 1:
            own = [{**g, "params": [p for p in g["params"] if p in rows]} for g in groups]
            found += [{**group, "lr_scale": scale} for group in own]
        return found

    def reduce_gradients(self, accelerator: "Accelerator") -> None:
        """Average the gradient of the table's rows over the ranks."""
        if isinstance(self._router, Router):
            self._router.reduce_gradients(accelerator)

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Choose the knowledge paths again if it is due."""
        if self._router is None:
            return Prepared()
        return self._router.before_step(step, optimizer, accelerator)

    def after_step(self, step: int, accelerator: "Accelerator") -> Mapping[str, float]:
        """Write back the routed rows, and to the memory what the step's mentions looked like on all ranks."""
        if self._router is not None:
            self._router.after_step()
        counts = torch.tensor([self._counts[name] for name in _COUNTED], device=accelerator.device)
        numbers = dict(zip(_COUNTED, accelerator.reduce(counts, "sum").tolist(), strict=True))
        numbers |= {name: float(norm) for name, norm in self.model.norms.items()}
        # The step's share of the process, routing included: the figure to compare on a shared machine.
        before, self._cpu = self._cpu, time.process_time()
        numbers["cpu_seconds"] = self._cpu - before
        if step % self._config.log_every == 0:
            _log.info("step %d: %s", step, ", ".join(f"{name} {n:g}" for name, n in numbers.items()))
        if self._memory is None:
            return numbers
        seen = join_seen(self.model.seen, accelerator)
        self.model.seen.clear()
        self._memory.write(seen.slots, seen.local, seen.summary, seen.first)
        return {**numbers, "memory_weight": self._memory_weight(step - 1)}

    def state(self) -> dict[str, Any]:
        """The positions of the stream and the router."""
        router = {"router": self._router.state()} if self._router is not None else {}
        return {"stream": self._prefetcher.state(), **router}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""
        self._prefetcher.load_state(state["stream"])
        if self._router is not None:
            self._router.load_state(state["router"])

    def collect(self) -> None:
        """Bring the memory to the main rank."""
        if self._memory is not None:
            self._collected = self._memory.collect()

    def save(self, folder: Path) -> None:
        """Write a plain transformers model and its tokenizer, and beside it heads and memory."""
        save_model(self.model.packed.lm, self._tokenizer, folder)
        save_extras(folder, self.model, self._collected, options=self._options, kge=self._kge)
        # Millions of rows are not kept twice until the next time.
        self._collected = {}
        if self._router is not None:
            self._router.save(folder)

    def save_memory(self, folder: Path) -> None:
        """Write the memory."""
        save_memory(folder, self._collected)
        self._collected = {}

    def load_memory(self, folder: Path) -> None:
        """Read the memory that `save_memory` wrote."""
        if self._memory is not None:
            load_memory(folder, self._memory)

    def load(self, folder: Path) -> None:
        """Read the weights and the memory that `save` wrote."""
        from safetensors.torch import load_model

        load_model(self.model.packed.lm, folder / "model.safetensors")
        load_extras(folder, self.model, self._memory)
        if self._router is not None:
            self._router.load(folder)

    def _make_router(self, routes: Path) -> Router | LowRank:
        model, config = self.model, self._config
        subject = Routable(
            model=model,
            packed=model.packed,
            heads=[*model.decoder.parameters(), *model.packed.transform_parameters()],
            injection=[] if model.injection is None else list(model.injection.parameters()),
            probe=self.probe,
            groups=lambda: self.parameter_groups(config.weight_decay),
            losses=self.losses,
            touched=self.touched,
        )
        if self._options.routing.mode == "lora":
            return LowRank(subject, self._options, total_steps=self.total_steps, seed=config.seed)
        return Router(subject, self._options, total_steps=self.total_steps, seed=config.seed, log=routes)

    def _make(self, step: int) -> "_Made":
        examples = self._maker.make(self._stream.take(self._config.records_per_step))
        return _Made(examples, self._packer.pending(examples, step=step, share=self._injected_share(step)))

    def _probed(self, step: int, tokens: Callable[[Example], int], *, plain: bool = False) -> list[Batch]:
        """Batches of the first examples of the step that have enough tokens to score neurons on.

        Args:
            step: the step to come.
            tokens: of an example.
            plain: inject nothing and read no memory.
        """
        enough = _first(self._prefetcher.peek(step).examples, self._options.routing.tokens, tokens)
        weight = self._memory_weight(step)
        if plain:
            enough, weight = [without_injection(example) for example in enough], 0.0
        share = self._injected_share(step)
        pending = self._packer.pending(enough, step=step, share=share, writes=False)
        return self._packer.read(pending, weight=weight)

    def _weighted_loss(self, weights: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        loss: Tensor = (self.model(**inputs) * weights).sum()
        return loss

    def _injected_share(self, step: int) -> float:
        return decayed(step, self.total_steps, self._options.inject_decay)

    def _memory_weight(self, step: int) -> float:
        epoch_steps = self._stream.rows / self._config.records_per_step
        return memory_weight(
            step, self._options.memory, total_steps=self.total_steps, epoch_steps=epoch_steps
        )


def build_trelm(
    config: TrainingConfig,
    corpus: Path,
    out: Path,
    tokenizer: "PreTrainedTokenizerFast",
    accelerator: "Accelerator",
) -> Trelm:
    """The objective on a build's records; a graph embedding is trained first where none is named."""
    backend, mask = tokenizer.backend_tokenizer, str(tokenizer.mask_token)
    made = ensure_tokens(corpus, "trelm", backend, mask_token=mask, splits=config.splits)
    graph = open_graph(corpus, relation_names=config.trelm.provider == "shared")
    kge = embeddings_of(config, corpus, out, claims=accelerator.is_main_process)
    if kge is not None and accelerator.is_main_process:
        report_missing(kge, graph)
    return Trelm(
        config,
        files=made["train"],
        validation_files=made.get("validation", []),
        tokenizer=tokenizer,
        graph=graph,
        kge=kge,
        routes=out / "routes.jsonl",
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        ranks=accelerator,
    )


def _count(examples: Sequence[Example]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(example.counts)
        counts["targets"] += len(example.questions)
        counts["injected"] += sum(question.target.injected is not None for question in example.questions)
        counts["cka_tokens"] += _asked_for(example)
    return counts


def _first(examples: Sequence[Example], tokens: int, count: Callable[[Example], int]) -> Sequence[Example]:
    """The shortest prefix of the examples with at least `tokens` tokens by `count`; if none has, all."""
    found = 0
    for i, example in enumerate(examples, start=1):
        found += count(example)
        if found >= tokens:
            return examples[:i]
    return examples


def _asked_for(example: Example) -> int:
    return len(example.asked)


def _predicted(example: Example) -> int:
    return int(example.predicted.sum())


def _read_or_scored(inputs: TrelmInputs[NDArray[Any]]) -> list[NDArray[Any]]:
    """Ids of the tokens that a forward pass reads, predicts or contrasts."""
    labels = (inputs.injected_other_ids, inputs.injected_relation_ids, inputs.asked_relation_ids)
    return [inputs.ids, inputs.labels, inputs.pool, *(ids for ids in labels if ids is not None)]
