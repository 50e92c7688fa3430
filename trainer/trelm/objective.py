"""TRELM (arXiv 2403.11203): masked-language modelling with knowledge injected and asked for."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.tokens import ensure_tokens
from trainer.config import TrainingConfig
from trainer.masked_lm import load_lm
from trainer.objectives import Batch, Objective, Prepared
from trainer.prefetch import Prefetcher
from trainer.shards import MentionRecord, ShardStream
from trainer.trelm.batches import Pending
from trainer.trelm.builder import Builder
from trainer.trelm.examples import Example, Slots
from trainer.trelm.graph import Graph, open_graph
from trainer.trelm.inventory import WordFinder, take_inventory
from trainer.trelm.memory import MemoryBank, decayed, memory_weight, pretrained_embeddings, tokens_of_words
from trainer.trelm.model import TrelmModel, join_seen, tensors_of
from trainer.trelm.routing.low_rank import LowRank
from trainer.trelm.routing.router import Routable, Router, resolve_mode
from trainer.trelm.run_files import embeddings_of, load_extras, report_missing, save_extras

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
        tokenizer: theirs.
        graph: the corpus's facts and names.
        kge: folder of frozen vectors, for the provider `transe`.
        routes: where the knowledge paths are logged.
        rank, world: which share of the records this process reads.
        ranks: the processes that share the memory; None: this one alone.

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
    ) -> None:
        if config.records_per_step < world:
            raise UsageError(
                f"{config.records_per_step} records a step are fewer than {world} ranks",
                where="records_per_step",
            )
        config = config.model_copy(update={"trelm": resolve_mode(config)})
        self._config, self._options, self._tokenizer, self._kge = config, config.trelm, tokenizer, kge
        self._stream: ShardStream[MentionRecord] = ShardStream(
            files, name="trelm", seed=config.seed, max_length=config.max_length, rank=rank, world=world
        )
        if not self._stream.rows:
            raise InputError("no records to train on", where="trelm", hint="Build the target trelm")
        _log.info("trelm: %s", self._stream.describe())
        self.terms = {"mlm": config.trelm.theta, "cka": 1 - config.trelm.theta}
        self.total_steps = config.steps_of_schedule(self._stream.rows, config.records_per_step)
        packed = load_lm(config, tokenizer, longest=config.max_length)
        packed.require_packing("trelm")
        hidden = int(packed.lm.config.hidden_size)
        if packed.table.shape[1] != hidden:
            raise UsageError(
                f"trelm needs word embeddings as wide as the states ({hidden}), not {packed.table.shape[1]}",
                where="base_model",
                hint="Choose another base_model",
            )
        if config.trelm.routing.mode != "none":
            packed.require_blocks("trelm.routing", otherwise="Set trelm.routing.mode: none. ")
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
        self._packer = builder.packer(
            builder.negatives(inventory.unigrams),
            memory=self._memory,
            length=config.max_length,
            rows=config.rows_per_forward,
        )
        self._collected: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()
        self._cpu = time.process_time()
        self.model = builder.model(packed)
        stream = self._stream
        self._prefetcher = Prefetcher(self._make, state=stream.state, load_state=stream.load_state)
        self._router = self._make_router(routes) if config.trelm.routing.mode != "none" else None

    def next_step(self, step: int) -> list[Batch]:
        """This rank's batches for the optimizer step after `step` steps, made beside the step before.

        The memory is read now: the step before has written to it.
        """
        made = self._prefetcher.take(step)
        self._counts = _count(made.examples)
        return self._packer.read(made.pending, weight=self._memory_weight(step))

    def probe(self, step: int) -> list[Callable[[], Tensor]]:
        """What gives log P of some CKA tokens of the step to come, at least `routing.tokens` if it has them.

        Returns:
            Functions that run the model on one batch each and return log P [tokens], of the same tokens at
            each call, differentiable in everything that the model computes.
        """
        enough = _first(self._prefetcher.peek(step).examples, self._options.routing.tokens)
        pending = self._packer.pending(enough, step=step, share=self._injected_share(step))
        batches = self._packer.read(pending, weight=self._memory_weight(step))
        device = self.model.packed.table.device
        return [partial(self.model.cka_log_probability, tensors_of(batch, device)) for batch in batches]

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Find the knowledge paths anew where it is time."""
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
        """Where the stream and the router stand."""
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
        self.model.packed.lm.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        save_extras(folder, self.model, self._collected, options=self._options, kge=self._kge)
        # Millions of rows are not kept twice until the next time.
        self._collected = {}
        if self._router is not None:
            self._router.save(folder)

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
        )
        if self._options.routing.mode == "lora":
            return LowRank(subject, self._options, total_steps=self.total_steps, seed=config.seed)
        return Router(subject, self._options, total_steps=self.total_steps, seed=config.seed, log=routes)

    def _make(self, step: int) -> "_Made":
        examples = self._maker.make(self._stream.take(self._config.records_per_step))
        return _Made(examples, self._packer.pending(examples, step=step, share=self._injected_share(step)))

    def _injected_share(self, step: int) -> float:
        return decayed(step, self.total_steps, self._options.inject_decay)

    def _memory_weight(self, step: int) -> float:
        epoch_steps = self._stream.rows / self._config.records_per_step
        return memory_weight(
            step, self._options.memory, total_steps=self.total_steps, epoch_steps=epoch_steps
        )


def build(
    config: TrainingConfig,
    corpus: Path,
    out: Path,
    tokenizer: "PreTrainedTokenizerFast",
    accelerator: "Accelerator",
) -> Trelm:
    """The objective on a build's records; a graph embedding is trained first where none is named."""
    made = ensure_tokens(
        corpus,
        "trelm",
        tokenizer.backend_tokenizer,
        mask_token=str(tokenizer.mask_token),
        splits=("train",),
    )
    graph = open_graph(corpus, relation_names=config.trelm.provider == "shared")
    kge = embeddings_of(config, corpus, out, claims=accelerator.is_main_process)
    if kge is not None and accelerator.is_main_process:
        report_missing(kge, graph)
    return Trelm(
        config,
        files=made["train"],
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
        counts["cka_tokens"] += sum(len(question.tokens) for question in example.questions)
    return counts


def _first(examples: Sequence[Example], tokens: int) -> Sequence[Example]:
    """The shortest prefix of the examples that asks for at least `tokens` tokens; if none does, all."""
    asked = 0
    for i, example in enumerate(examples, start=1):
        asked += sum(len(question.tokens) for question in example.questions)
        if asked >= tokens:
            return examples[:i]
    return examples
