"""What the model says of a batch of JAKET's four tasks."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.jaket.gat import HopTensors
from trainer.jaket.model import JaketModel


class Scores(NamedTuple):
    """Scores of what is to be told, one matrix a task, in the order of `trainer.jaket.tasks.TERMS`.

    Attributes:
        category: [entities, categories].
        relation: [pairs, relations].
        token: [tokens, vocabulary].
        entity: [removed mentions, candidates]; -inf where a candidate does not count. The first is right.
    """

    category: Tensor
    relation: Tensor
    token: Tensor
    entity: Tensor


def score(model: JaketModel, memory: Tensor, inputs: Mapping[str, Tensor]) -> Scores:
    """Scores of a batch.

    Args:
        model: the model.
        memory: [entities, d], the context embeddings; no gradient enters them.
        inputs: of `trainer.jaket.text.prepare` and `trainer.jaket.tasks.neighbourhood`, and `candidates` and
            `allowed` of `trainer.jaket.tasks.Tasks.candidates`.
    """
    states, knowledge = model(
        inputs["ids"],
        inputs["segments"],
        inputs["positions"],
        context=memory[inputs["nodes"]].float(),
        hops=hops_of(inputs),
        places=inputs["places"],
        entities=inputs["merged"],
    )
    flat = states.flatten(0, 1)
    return Scores(
        model.category_head(knowledge[inputs["category_of"]]),
        model.relation_scores(knowledge[inputs["pairs"]]),
        model.text.logits(flat[inputs["token_places"]]),
        model.entity_scores(
            flat[inputs["first_places"]],
            flat[inputs["last_places"]],
            memory[inputs["candidates"]].float(),
        ).masked_fill(~inputs["allowed"], -torch.inf),
    )


def hops_of(inputs: Mapping[str, Tensor]) -> list[HopTensors]:
    """The hops in the arrays of `trainer.jaket.tasks.neighbourhood`."""
    layers = sum(name.endswith("_own") for name in inputs)
    return [HopTensors(*(inputs[f"hop{i}_{name}"] for name in HopTensors._fields)) for i in range(layers)]
