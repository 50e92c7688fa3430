"""TransE: a fact's relation is a translation from its head to its tail (Bordes et al., NIPS 2013)."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kgcorpus.contracts.draws import hash64
from trainer.arrays import open_array
from trainer.transe.config import TranseConfig
from trainer.transe.embeddings import Embeddings, write_embeddings


@dataclass(frozen=True)
class Batch:
    """Facts, and entities that are set in the place of their heads and tails.

    Attributes:
        heads, relations, tails: [facts] int64, rows of the tables.
        other_heads, other_tails: [negatives] int64, all of them set against every fact of the batch.
    """

    heads: Tensor
    relations: Tensor
    tails: Tensor
    other_heads: Tensor
    other_tails: Tensor


class TransE:
    """Two tables of vectors; a step reads and changes only the rows of its batch.

    The tables and Adagrad's one number a row take 4 (E + R)(dim + 1) bytes.

    Args:
        config: dimension, distance, loss and learning rate.
        entity_ids, relation_ids: the ids of the rows.
        seed: of the first vectors: uniform in +-6 / sqrt(dim), then of length 1 (Bordes et al., algorithm 1).
        device: of the tables.
    """

    def __init__(
        self,
        config: TranseConfig,
        *,
        entity_ids: list[str],
        relation_ids: list[str],
        seed: int,
        device: torch.device,
    ) -> None:
        self._config, self._ids = config, (entity_ids, relation_ids)
        self.steps = 0
        generator = torch.Generator().manual_seed(hash64(seed, "transe") >> 1)
        bound = 6 / math.sqrt(config.dim)

        def draw(rows: int, unit: bool) -> Tensor:
            table = torch.empty(rows, config.dim).uniform_(-bound, bound, generator=generator)
            return (F.normalize(table, dim=1, out=table) if unit else table).to(device)

        self.entities = draw(len(entity_ids), config.unit_entities)
        self.relations = draw(len(relation_ids), True)
        self._adagrad = RowAdagrad(self.entities), RowAdagrad(self.relations)

    def step(self, batch: Batch) -> float:
        """Change the batch's rows by one step of Adagrad; return the loss before it."""
        parts = [batch.heads, batch.tails, batch.other_heads, batch.other_tails]
        entity_rows, places = torch.cat(parts).unique(return_inverse=True)
        relation_rows, relation_places = batch.relations.unique(return_inverse=True)
        entities = self.entities[entity_rows].requires_grad_()
        relations = self.relations[relation_rows].requires_grad_()
        vectors = F.embedding(places, entities).split([len(part) for part in parts])
        loss = contrast(
            *vectors,
            translations=F.embedding(relation_places, relations),
            wrong_heads=batch.other_heads != batch.heads[:, None],
            wrong_tails=batch.other_tails != batch.tails[:, None],
            config=self._config,
        )
        loss.backward()
        for optimizer, rows, values in (
            (self._adagrad[0], entity_rows, entities),
            (self._adagrad[1], relation_rows, relations),
        ):
            optimizer.step(rows, values, lr=self._config.lr)
        if self._config.unit_entities:
            self.entities[entity_rows] = F.normalize(self.entities[entity_rows], dim=1)
        self.steps += 1
        return float(loss.detach())

    def save(self, folder: Path) -> None:
        """Write the embeddings."""
        found = Embeddings(
            self.entities.cpu().numpy(),
            self.relations.cpu().numpy(),
            *self._ids,
            norm=self._config.norm,
            steps=self.steps,
        )
        write_embeddings(folder, found)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        for table, name in ((self.entities, "entities"), (self.relations, "relations")):
            array = open_array(folder / f"{name}.npy", kind="f", shape=tuple(table.shape), mode="c")
            table.copy_(torch.from_numpy(array))

    def state(self) -> dict[str, Any]:
        """The steps done."""
        return {"steps": self.steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on after as many steps."""
        self.steps = state["steps"]

    def state_dict(self) -> dict[str, Any]:
        """Adagrad's state."""
        return {"squares": [optimizer.squares for optimizer in self._adagrad]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with Adagrad where `state` was taken."""
        for optimizer, squares in zip(self._adagrad, state["squares"], strict=True):
            optimizer.squares.copy_(squares)


class RowAdagrad:
    """Adagrad (Duchi et al. 2011) with one step size a row, only for rows that have a gradient.

    Args:
        table: [rows, dim], changed in place.
    """

    def __init__(self, table: Tensor) -> None:
        self._table = table
        self.squares = torch.zeros(len(table), device=table.device)

    def step(self, rows: Tensor, values: Tensor, *, lr: float) -> None:
        """Take a step on these distinct rows, whose values and gradient `values` holds."""
        if values.grad is None:
            return
        squares = self.squares[rows] + values.grad.square().mean(dim=1)
        self.squares[rows] = squares
        self._table[rows] = values.detach() - lr * values.grad / (squares.sqrt() + 1e-10)[:, None]


def contrast(
    heads: Tensor,
    tails: Tensor,
    other_heads: Tensor,
    other_tails: Tensor,
    *,
    translations: Tensor,
    wrong_heads: Tensor,
    wrong_tails: Tensor,
    config: TranseConfig,
) -> Tensor:
    """The self-adversarial loss, a mean over facts (Sun et al. 2019, RotatE, eq. 5 and 6).

    With d = |h + r - t|, margin m and sharpness s, a fact costs -log sigma(s(m - d)) for itself and
    -sum_i p_i log sigma(s(d_i - m)) for its negatives, p = softmax(-s d_i): the mean of that for heads and
    for tails.

    Args:
        heads, tails, translations: [facts, dim].
        other_heads, other_tails: [negatives, dim].
        wrong_heads, wrong_tails: [facts, negatives], false where a negative is the fact's own entity.
    """
    margin, sharpness, norm = config.margin, config.sharpness, float(config.norm)
    right = torch.linalg.vector_norm(heads + translations - tails, ord=norm, dim=1)
    loss = -F.logsigmoid(sharpness * (margin - right)).mean()
    for query, others, wrong in (
        (tails - translations, other_heads, wrong_heads),
        (heads + translations, other_tails, wrong_tails),
    ):
        distance = sharpness * torch.cdist(query, others, p=norm)
        weight = distance.detach().neg().masked_fill(~wrong, -math.inf).softmax(dim=1).nan_to_num(0.0)
        loss = loss - 0.5 * (weight * F.logsigmoid(distance - sharpness * margin)).sum(dim=1).mean()
    return loss
