"""JAKET's knowledge module: graph attention with composition (arXiv 2010.00796, eq. 1-2)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kgcorpus.contracts.errors import UsageError

_SLOPE = 0.2


class HopTensors(NamedTuple):
    """`trainer.jaket.graph.Hop` as tensors."""

    own: Tensor
    neighbours: Tensor
    relations: Tensor
    present: Tensor


class GatLayer(nn.Module):
    """E'_v = LN(E_v + concat_k GELU(sum_(r,u) a^k_vru W^k f(E_u, R_r))), with f(E_u, R_r) = E_u + R_r.

    The weights a^k_vru are the softmax, over v's sampled edges, of LeakyReLU(a^k [W^k E_v; W^k f(E_u, R_r)])
    with slope .2. Without a neighbour the sum is 0.

    Args:
        hidden: size d of the embeddings.
        heads: K; divides d, and each head makes d / K of the output.

    Raises:
        UsageError: `heads` does not divide `hidden`.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        if hidden % heads:
            raise UsageError(f"{heads} heads do not divide {hidden} hidden units", where="jaket.gat_heads")
        self._heads = heads
        self.project = nn.Linear(hidden, hidden, bias=False)
        self.attend_own = nn.Parameter(torch.empty(heads, hidden // heads))
        self.attend_neighbour = nn.Parameter(torch.empty(heads, hidden // heads))
        self.norm = nn.LayerNorm(hidden)
        self.reset()

    def reset(self) -> None:
        """Draw the weights from torch's generator (Glorot's uniform, as Velickovic et al. do)."""
        for parameter in (self.project.weight, self.attend_own, self.attend_neighbour):
            nn.init.xavier_uniform_(parameter)

    def forward(self, embeddings: Tensor, relations: Tensor | None, hop: HopTensors) -> Tensor:
        """The hop's n output nodes [n, d].

        Args:
            embeddings: [m, d] of the input nodes.
            relations: [relations, d]; None means zeros.
            hop: which input nodes each output node reads.
        """
        projected, to_own, to_neighbour = self._project(embeddings)
        messages = projected[hop.neighbours]
        scores = to_own[hop.own][:, None] + to_neighbour[hop.neighbours]
        if relations is not None:
            # W is linear, so W f(E_u, R_r) is a sum: each relation is projected once, not once an edge.
            projected, _, to_neighbour = self._project(relations)
            messages = messages + projected[hop.relations]
            scores = scores + to_neighbour[hop.relations]
        present = hop.present[:, :, None]
        scores = nn.functional.leaky_relu(scores, _SLOPE).masked_fill(~present, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=1) * present
        summed = (weights[..., None] * messages).sum(dim=1).flatten(1)
        output: Tensor = self.norm(embeddings[hop.own] + nn.functional.gelu(summed))
        return output

    def _project(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """W x [rows, K, d/K], and its products [rows, K] with both halves of a."""
        projected = self.project(rows).unflatten(-1, (self._heads, -1))
        return (
            projected,
            (projected * self.attend_own).sum(dim=-1),
            (projected * self.attend_neighbour).sum(dim=-1),
        )


class KnowledgeModule(nn.Module):
    """GAT layers one upon the other: the entities' context embeddings become E^KM.

    Args:
        hidden, heads: of each layer.
        layers: how many.
        relation_rows: rows of a trained table of relation embeddings; 0: they are zeros.
    """

    def __init__(self, hidden: int, *, heads: int, layers: int, relation_rows: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GatLayer(hidden, heads) for _ in range(layers))
        self.relations = nn.Embedding(relation_rows, hidden) if relation_rows else None

    def forward(
        self, context: Tensor, hops: Sequence[HopTensors], *, relations: Tensor | None = None
    ) -> Tensor:
        """E^KM [targets, d].

        Args:
            context: [nodes, d], the embeddings E^0 of the nodes that the first hop reads.
            hops: one a layer.
            relations: [relations, d], in the place of the trained table.
        """
        if relations is None and self.relations is not None:
            relations = self.relations.weight
        for layer, hop in zip(self.layers, hops, strict=True):
            context = layer(context, relations, hop)
        return context
