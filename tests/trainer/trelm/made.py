"""What the tests of the model and of the objective make: a world, and an objective on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from kgcorpus.tokens import ensure_tokens
from tests.trainer.trelm.world import LABELS, passages_of, write_vectors, write_world
from trainer.config import ModelConfig, TrainingConfig
from trainer.objectives import Batch
from trainer.tokenizer import make_tokenizer
from trainer.trelm.config import MemoryConfig, RoutingConfig, TrelmConfig
from trainer.trelm.graph import open_graph
from trainer.trelm.inputs import TrelmInputs
from trainer.trelm.objective import Trelm

SMALL = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=340)
WORDS = MemoryConfig(word_quantiles=(0.0, 0.8))


def options_of(**options: Any) -> TrelmConfig:
    return TrelmConfig(**{"routing": RoutingConfig(mode="none"), "memory": WORDS, **options})


def config_of(*, trelm: TrelmConfig | None = None, **options: Any) -> TrainingConfig:
    fields: dict[str, Any] = {"model": SMALL, "records_per_step": 12, "max_length": 96, "schedule_steps": 20}
    return TrainingConfig(**{**fields, **options}, trelm=trelm or options_of())


def make(folder: Path) -> SimpleNamespace:
    """A build, vectors of its graph, a tokenizer and the training split's token files."""
    world, vectors = write_world(folder / "world"), write_vectors(folder / "kge")
    texts = [row["text"] for row in passages_of(60)] + list(LABELS.values())
    tokenizer = make_tokenizer(texts, vocab_size=340, max_length=128)
    files = ensure_tokens(world, "trelm", tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
    graph = open_graph(world, relation_names=True)
    return SimpleNamespace(world=world, vectors=vectors, tokenizer=tokenizer, files=files, graph=graph)


def objective_of(made: SimpleNamespace, config: TrainingConfig, **options: Any) -> Trelm:
    return Trelm(
        config,
        files=made.files,
        tokenizer=made.tokenizer,
        graph=made.graph,
        kge=made.vectors / "model",
        routes=made.world / "routes.jsonl",
        **options,
    )


def tensors_of(batch: Batch) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in batch.inputs.items()}


def sums_of(objective: Trelm, batches: list[Batch]) -> Tensor:
    return torch.stack([objective.model(**tensors_of(batch)) for batch in batches])


def words_read(objective: Trelm, arrays: dict[str, Tensor]) -> Tensor:
    """What stands in the place of the word embeddings, as the language model is given it."""
    found: list[Tensor] = []
    layer = objective.model.packed.lm.base_model.get_submodule("embeddings")
    hook = layer.register_forward_pre_hook(
        lambda _, args, kwargs: found.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    objective.model.states(TrelmInputs.of(arrays))
    hook.remove()
    return found[0].flatten(0, 1)


def filled(objective: Trelm, *, steps: int = 2) -> Trelm:
    """The objective after some steps' memory writes, without training."""
    for step in range(steps):
        sums_of(objective, objective.next_step(step))
        objective.after_step(step + 1, Accelerator(cpu=True))
    return objective
