"""JAKET (arXiv 2010.00796): category, relation, token and entity prediction in one unweighted sum."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.tokens import ensure_tokens
from trainer.config import TrainingConfig
from trainer.jaket.entities import GraphStore
from trainer.jaket.memory import EntityMemory
from trainer.jaket.model import FIRST_LOWER, MEMORY, JaketModel
from trainer.jaket.relations import RelationMemory
from trainer.jaket.tasks import TERMS, Scores, Tasks, answer
from trainer.jaket.text import draw_removed, link, prepare
from trainer.masked_lm import load_lm
from trainer.masking import Vocabulary
from trainer.objectives import Batch, Objective, Prepared
from trainer.prefetch import Prefetcher
from trainer.pretrained import save_model
from trainer.shards import MentionRecord, ShardStream

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


class JaketLoss(nn.Module):
    """Summed cross-entropy of each task.

    Args:
        model: what is trained.
        memory: the context embeddings; no gradient enters them.
        relations: relation vectors made of labels, likewise; None: the model has its own.
    """

    def __init__(
        self, model: JaketModel, memory: EntityMemory, relations: RelationMemory | None = None
    ) -> None:
        super().__init__()
        self.jaket, self._memory, self._relations = model, memory, relations

    def forward(self, **inputs: Tensor) -> Tensor:
        """The sums [4], in the order of `TERMS`.

        Args:
            inputs: of `trainer.jaket.tasks.Tasks.batch`, its entities as places in `wanted`, those that the
                batch reads; where ranks share the memory also `memory`, the embeddings of these [wanted, d].
        """
        found, text = self._answer(inputs), self.jaket.text
        token = text.loss(found.token, inputs["token_labels"])
        category, relation, entity = (
            cross_entropy(scores.float(), right, reduction="sum")
            for scores, right in (
                (found.category, inputs["categories"]),
                (found.relation, inputs["relations"]),
                (found.entity, torch.zeros_like(inputs["first_places"])),
            )
        )
        return torch.stack([category, relation, token, entity])

    def right(self, **inputs: Tensor) -> dict[str, Tensor]:
        """For each task: whether a question's best-scored answer is right; inputs as of `forward`."""
        found, text = self._answer(inputs), self.jaket.text
        return {
            "category": found.category.argmax(dim=1) == inputs["categories"],
            "relation": found.relation.argmax(dim=1) == inputs["relations"],
            "token": text.best(text.transform(found.token)) == inputs["token_labels"],
            "entity": found.entity.argmax(dim=1) == 0,
        }

    def _answer(self, inputs: Mapping[str, Tensor]) -> Scores:
        memory = inputs["memory"] if "memory" in inputs else self._memory.read(inputs["wanted"])
        relations = None if self._relations is None else self._relations.vectors
        return answer(self.jaket, memory, inputs, relations=relations)


class Jaket(Objective):
    """L = L_c + L_r + L_t + L_e (section 3.6).

    A step reads `jaket.passages` passages and `jaket.roots` entities. The memory is filled before the first
    step and swept as section 3.5 says.

    Args:
        config: of the run.
        corpus: a build with JAKET's three tables.
        tokenizer: of text and descriptions.
        rank, world: which share of the records and roots this process reads.
        ranks: the processes that share the memory; None: only this one.

    Raises:
        InputError: no passage to train on, or no edge or entity.
        UsageError: the language model does not fit, or fewer records a step than ranks.
    """

    model: JaketLoss

    def __init__(
        self,
        config: TrainingConfig,
        *,
        corpus: Path,
        tokenizer: "PreTrainedTokenizerFast",
        rank: int = 0,
        world: int = 1,
        ranks: "Accelerator | None" = None,
    ) -> None:
        options = config.jaket
        if options.passages < world:
            raise UsageError(
                f"{options.passages} passages a step are fewer than {world} ranks", where="jaket.passages"
            )
        self._config, self._tokenizer = config, tokenizer
        self._rank, self._world = rank, world
        self.terms = dict.fromkeys(TERMS, 1.0)
        files = self._ensure_tokens(corpus)
        self._stream: ShardStream[MentionRecord] = self._open_text(corpus, files["train"])
        self.total_steps = config.steps_of_schedule(self._stream.rows, options.passages)
        store = GraphStore(corpus, tokenizer, options.description_length)
        entities = store.entities()
        self._seen = ~entities.unseen(options.unseen_share, config.seed)
        self._tasks = Tasks(
            entities,
            store.graph(entities, directions=options.directions, seen=self._seen),
            options,
            np.flatnonzero(self._seen),
            config.seed,
        )
        if not len(self._tasks.known):
            raise InputError("has no described entity to train on", where=str(corpus))
        self._vocabulary = Vocabulary.of_tokenizer(tokenizer)
        longest = max(config.max_length, options.description_length + tokenizer.num_special_tokens_to_add())
        text = load_lm(config, tokenizer, longest=longest)
        text.require("SPLITS", "jaket")
        torch.manual_seed(hash64(config.seed, "jaket"))
        model = JaketModel.around(
            text,
            options,
            relations=entities.relation_names,
            categories=entities.category_names,
            seed=config.seed,
            entities_key=store.entities_key,
        )
        self._jaket = model
        self._first_lower = {name: tensor.clone() for name, tensor in model.lower_weights().items()}
        self.memory = EntityMemory(
            entities,
            hidden=text.lm.config.hidden_size,
            options=options,
            pad=tokenizer.pad_token_id,
            ranks=ranks,
        )
        self.relations: RelationMemory | None = None
        if options.relation_embeddings == "texts":
            self.relations = RelationMemory(
                corpus, entities.relation_names, tokenizer, momentum=options.memory_momentum
            )
        self.model = JaketLoss(model, self.memory, self.relations)
        self._collected = self.memory.values
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        stream = self._stream
        self._validation = self._sample(corpus, files.get("validation", []))
        self._prefetcher = Prefetcher(self._make, state=stream.state, load_state=stream.load_state)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The language model's matrices and the rest, then the same of the knowledge module and the heads."""
        groups, options = [], self._config.jaket
        own_rate = {"lr_scale": options.km_lr_scale, "lr_warmup": options.km_lr_warmup}
        of_text = {id(parameter) for parameter in self._jaket.lm.parameters()}
        for text, rate in ((True, {}), (False, own_rate)):
            own = [p for p in self._jaket.parameters() if p.requires_grad and (id(p) in of_text) == text]
            for matrices, decay in ((True, weight_decay), (False, 0.0)):
                members = [p for p in own if (p.ndim > 1) == matrices]
                groups.append({"params": members, "weight_decay": decay, **rate})
        return groups

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Fill or sweep the memory where it is due, and the relation vectors made of labels with it."""
        if not self.memory.due(step):
            return Prepared()
        if self.relations is not None:
            self.relations.update(self._jaket)
        bf16 = self._config.precision == "bf16"
        return Prepared(events=(self.memory.update(self._jaket, bf16=bf16),))

    def next_step(self, step: int) -> list[Batch]:
        """This rank's batches for the optimizer step after `step` steps."""
        return self._with_memory(self._prefetcher.take(step))

    def validation(self) -> Mapping[str, Sequence[Batch]]:
        """This rank's batches of the validation passages, with the roots of the first step."""
        return {"": self._with_memory(self._validation)}

    def right(self, batch: Batch, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """For each task: which questions the best-scored answer is right for."""
        return self.model.right(**inputs)

    def _with_memory(self, batches: list[Batch]) -> list[Batch]:
        if not self.memory.shared:
            return batches
        # Ranks may have different numbers of batches, so one question is asked for all of them.
        wanted = [np.asarray(batch.inputs["wanted"]) for batch in batches]
        ids = torch.from_numpy(np.concatenate(wanted)).to(self.memory.values.device)
        rows = self.memory.read(ids).split([len(part) for part in wanted])
        return [
            replace(batch, inputs={**batch.inputs, "memory": memory})
            for batch, memory in zip(batches, rows, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """The position in the text, and the number of sweeps of the memory."""
        return {"text": self._prefetcher.state(), "filled": self.memory.filled, "sweeps": self.memory.sweeps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""
        self._prefetcher.load_state(state["text"])
        self.memory.filled, self.memory.sweeps = state["filled"], state["sweeps"]

    def collect(self) -> None:
        """Bring the memory to the main rank."""
        self._collected = self.memory.collect()

    def save(self, folder: Path) -> None:
        """Write a `JaketModel`, its tokenizer, the memory, and LM1 as it was before training."""
        from safetensors.torch import save_file

        save_model(self._jaket, self._tokenizer, folder)
        memory = {"context": self._collected}
        if self.relations is not None and self.relations.states is not None:
            memory["relations"] = self.relations.states
        save_file(memory, folder / MEMORY)
        # Millions of rows are not kept twice until the next time.
        self._collected = self.memory.values
        save_file(self._first_lower, folder / FIRST_LOWER)

    def load(self, folder: Path) -> None:
        """Read the weights that `save` wrote."""
        from safetensors.torch import load_file, load_model

        load_model(self._jaket, folder / "model.safetensors")
        memory = load_file(folder / MEMORY)
        self.memory.load(memory["context"])
        if self.relations is not None:
            self.relations.states = memory["relations"].to(self._jaket.device)
        self._first_lower = load_file(folder / FIRST_LOWER)

    def _make(self, step: int) -> list[Batch]:
        return self._batches(self._stream.take(self._config.jaket.passages), step=step)

    def _batches(self, records: Sequence[MentionRecord], *, step: int) -> list[Batch]:
        roots = self._roots(step)[self._rank :: self._world]
        size = self._config.rows_per_forward
        parts = [records[first : first + size] for first in range(0, len(records), size)]
        return [self._batch(part, roots[i :: len(parts)], step=step) for i, part in enumerate(parts)]

    def _batch(self, records: Sequence[MentionRecord], roots: NDArray[np.int64], *, step: int) -> Batch:
        seed, options = self._config.seed, self._config.jaket
        mentions = link(records, self._tasks.entities, seen=self._seen, seed=seed)
        text = prepare(
            records,
            mentions,
            draw_removed(mentions, options.entity_probability),
            self._vocabulary,
            mlm_probability=options.mlm_probability,
            length=self._config.max_length,
            seed=seed,
        )
        names, tokens = [record.id for record in records], sum(len(record.ids) for record in records)
        return _compact(self._tasks.batch(text, roots, step=step, records=names, tokens=tokens))

    def _ensure_tokens(self, corpus: Path) -> dict[str, list[Path]]:
        backend, mask = self._tokenizer.backend_tokenizer, str(self._tokenizer.mask_token)
        return ensure_tokens(corpus, "jaket_text", backend, mask_token=mask, splits=self._config.splits)

    def _open_text(self, corpus: Path, files: Sequence[Path]) -> ShardStream[MentionRecord]:
        config = self._config
        stream: ShardStream[MentionRecord] = ShardStream(
            files,
            name="jaket",
            seed=config.seed,
            max_length=config.max_length,
            rank=self._rank,
            world=self._world,
        )
        _log.info("jaket_text: %s", stream.describe())
        if not stream.rows:
            raise InputError("has no passage to read", where=str(corpus), hint="Build jaket_text")
        return stream

    def _sample(self, corpus: Path, files: Sequence[Path]) -> list[Batch]:
        if self._config.validate_every is None:
            return []
        stream = self._open_text(corpus, files)
        return self._batches(stream.take(min(stream.rows, self._config.validation_records)), step=0)

    def _roots(self, step: int) -> NDArray[np.int64]:
        """The step's roots: the known entities in an order drawn for each epoch, one after the other."""
        known, count = self._tasks.known, self._config.jaket.roots
        places = np.arange(step * count, (step + 1) * count)
        return np.array(
            [self._epoch_order(int(e))[p] for e, p in zip(*divmod(places, len(known)), strict=True)]
        )

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:
            known = self._tasks.known
            salt = np.uint64(hash64(self._config.seed, "jaket-roots", epoch))
            self._order = epoch, known[np.argsort(mix64_array(known.astype(np.uint64) ^ salt), kind="stable")]
        return self._order[1]


def _compact(batch: Batch) -> Batch:
    """The batch with its entities as rows of those that it reads from the memory, `wanted`."""
    nodes, candidates = (np.asarray(batch.inputs[name]) for name in ("nodes", "candidates"))
    wanted, rows = np.unique(np.concatenate([nodes, candidates.ravel()]), return_inverse=True)
    inputs = {
        **batch.inputs,
        "wanted": wanted,
        "nodes": rows[: len(nodes)],
        "candidates": rows[len(nodes) :].reshape(candidates.shape),
    }
    return replace(batch, inputs=inputs)


def build_jaket(
    config: TrainingConfig,
    corpus: Path,
    out: Path,
    tokenizer: "PreTrainedTokenizerFast",
    accelerator: "Accelerator",
) -> Jaket:
    """Return the objective of a run."""
    return Jaket(
        config,
        corpus=corpus,
        tokenizer=tokenizer,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        ranks=accelerator,
    )
