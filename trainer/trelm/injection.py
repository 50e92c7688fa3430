"""Knowledge injection: a fact's vectors become the embedding of a mention."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.contracts.rows import Fact
from trainer.trelm.graph import LabelTokens, joined

if TYPE_CHECKING:
    from trainer.transe.embeddings import Embeddings


class Knowledge(Protocol):
    """Where the vectors of entities and relations come from.

    Attributes:
        width: numbers of a vector.
    """

    width: int

    def has(self, fact: Fact) -> bool:
        """Whether the fact's relation and other end are known."""

    def others(self, name: str, facts: Sequence[Fact]) -> dict[str, NDArray[np.generic]]:
        """The other ends as inputs of the model, from which `vectors` makes [facts, width]."""

    def relations(self, name: str, facts: Sequence[Fact]) -> dict[str, NDArray[np.generic]]:
        """The same of the relations."""


class GraphKnowledge:
    """Frozen vectors of a graph embedding; they stay on the host, a batch's rows travel.

    Relations are scaled to a root mean square of 1, beside which the decoder's other input, a normed state,
    does not drown them; entities by the same factor, so that h + r stays near t.
    """

    def __init__(self, embeddings: "Embeddings") -> None:
        self._embeddings, self.width = embeddings, embeddings.dim
        self._scale = np.float32(1 / np.sqrt(np.square(embeddings.relations, dtype=np.float64).mean()))

    def has(self, fact: Fact) -> bool:
        """Whether the embedding was trained on the relation and on the other end."""
        return fact["r"] in self._embeddings.relation_index and fact["other"] in self._embeddings.entity_index

    def others(self, name: str, facts: Sequence[Fact]) -> dict[str, NDArray[np.generic]]:
        """[facts, width] float32 under `name`."""
        rows = [self._embeddings.entity_index[fact["other"]] for fact in facts]
        return {name: self._embeddings.entities[rows] * self._scale}

    def relations(self, name: str, facts: Sequence[Fact]) -> dict[str, NDArray[np.generic]]:
        """[facts, width] float32 under `name`."""
        rows = [self._embeddings.relation_index[fact["r"]] for fact in facts]
        return {name: self._embeddings.relations[rows] * self._scale}


class LabelKnowledge:
    """Labels instead of vectors: the mean of their tokens' word embeddings (DKPLM, arXiv 2112.01047, 3.2).

    Args:
        entities: other end -> tokens of its label.
        relations: relation -> tokens of its label.
        width: size of the word embeddings.
    """

    def __init__(self, entities: LabelTokens, relations: LabelTokens, *, width: int) -> None:
        self._entities, self._relations, self.width = entities, relations, width

    def has(self, fact: Fact) -> bool:
        """Whether both have a label."""
        return fact["other"] in self._entities and fact["r"] in self._relations

    def others(self, name: str, facts: Sequence[Fact]) -> dict[str, NDArray[np.generic]]:
        """The labels' tokens under `<name>_ids`, and where each label starts under `<name>_starts`."""
        return _bags(name, [self._entities.of(fact["other"]) for fact in facts])

    def relations(self, name: str, facts: Sequence[Fact]) -> dict[str, NDArray[np.generic]]:
        """The same of the relations."""
        return _bags(name, [self._relations.of(fact["r"]) for fact in facts])


def vectors(
    rows: Tensor | None,
    ids: Tensor | None,
    starts: Tensor | None,
    *,
    words: Callable[[Tensor], Tensor],
    deviation: Callable[[], Tensor],
) -> Tensor:
    """The vectors of facts that a `Knowledge` gave, as [facts, width].

    Args:
        rows: [facts, width]; None: labels represent the facts.
        ids, starts: the labels' tokens, and the position at which each label starts.
        words: ids [n] -> their word embeddings [n, hidden], of which labels are made.
        deviation: the embedding table's standard deviation; divided by it, labels have a root mean square
            near 1, as the graph's vectors do.
    """
    if rows is not None:
        return rows
    assert ids is not None
    places = torch.arange(len(ids), device=ids.device)
    mean = nn.functional.embedding_bag(places, words(ids), starts, mode="mean")
    return mean / deviation()


class Injection(nn.Module):
    """h_e = LN(W_k(v_h + v_r)) for a fact's tail, LN(W_k(v_t - v_r)) for its head.

    Of labels, LN(MLP([v_other; +-v_r])) in the place of the sum, which means nothing to them.

    Args:
        width: numbers of a vector.
        hidden: size of the word embeddings.
        scale: the LayerNorm's first gain. That of the word embeddings, their standard deviation: a gain of 1
            would drown the words around.
        additive: whether h + r = t holds for the vectors, as of TransE.
    """

    def __init__(self, *, width: int, hidden: int, scale: float, additive: bool) -> None:
        super().__init__()
        self._additive = additive
        self.project = (
            nn.Linear(width, hidden, bias=False)
            if additive
            else nn.Sequential(nn.Linear(2 * width, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        )
        self.norm = nn.LayerNorm(hidden)
        nn.init.constant_(self.norm.weight, scale)

    def forward(self, other: Tensor, relation: Tensor, sign: Tensor) -> Tensor:
        """The embeddings [mentions, hidden].

        Args:
            other, relation: [mentions, width] of each mention's fact.
            sign: [mentions] 1 where the other end is the fact's head, -1 where it is the tail.
        """
        signed = sign[:, None] * relation
        seen = other + signed if self._additive else torch.cat([other, signed], dim=1)
        embedded: Tensor = self.norm(self.project(seen))
        return embedded


def signs(facts: Sequence[Fact]) -> NDArray[np.float32]:
    """[facts] 1 where the other end is the fact's head, -1 where it is the tail."""
    return np.array([1.0 if fact["direction"] == "head" else -1.0 for fact in facts], np.float32)


def _bags(name: str, labels: Sequence[Sequence[int]]) -> dict[str, NDArray[np.generic]]:
    ids, starts = joined(labels)
    return {f"{name}_ids": ids, f"{name}_starts": starts}
