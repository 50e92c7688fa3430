"""JAKET's four tasks (arXiv 2010.00796, section 3.6): category, relation, token and entity; their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.draws import below_array
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities
from trainer.jaket.gat import HopTensors
from trainer.jaket.graph import Graph, sample_hops, sample_neighbours, walk
from trainer.jaket.model import JaketModel
from trainer.jaket.text import Mentions, Text
from trainer.objectives import Batch

TERMS = ("category", "relation", "token", "entity")


@dataclass(frozen=True)
class Tasks:
    """What the tasks draw from.

    Attributes:
        entities: the described entities.
        graph: the edges that training may read.
        options: of the objective.
        known: ids of the entities that training knows, from which random negatives are drawn.
        seed: of all draws.
    """

    entities: Entities
    graph: Graph
    options: JaketConfig
    known: NDArray[np.int64]
    seed: int

    def batch(
        self, text: Text, roots: NDArray[np.int64], *, step: int, records: Sequence[str], tokens: int
    ) -> Batch:
        """One forward pass over a text and some roots.

        Args:
            text: prepared by `trainer.jaket.text.prepare`.
            roots: [roots], entities whose category, and the relations on whose walks, are predicted.
            step: names the draws of neighbours and walks.
            records, tokens: of the batch.
        """
        pairs, relations = walk(
            self.graph, roots, length=self.options.walk_length, key=(self.seed, "jaket-walk", step)
        )
        labelled = roots[self.entities.categories[roots] >= 0]
        candidates, allowed = self.candidates(text.removed)
        arrays = neighbourhood(
            self.graph,
            {"merged": text.merged, "category_of": labelled, "pairs": pairs},
            layers=self.options.gat_layers,
            count=self.options.neighbours,
            key=(self.seed, "jaket-hops", step),
            # Where relations have embeddings, an edge between the two would tell what it is.
            hidden_pairs=None if self.options.relation_embeddings == "zero" else pairs,
        )
        inputs = {
            **text.inputs,
            **arrays,
            "categories": self.entities.categories[labelled].astype(np.int64),
            "relations": relations,
            "candidates": candidates,
            "allowed": allowed,
        }
        counts = [len(labelled), len(relations), len(text.inputs["token_labels"]), len(candidates)]
        return Batch(inputs, np.array(counts, np.int64), list(records), tokens)

    def candidates(self, removed: Mentions) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """What each removed mention may be: its entity first, then neighbours, then random entities.

        Returns:
            Entities [mentions, candidates], and whether each counts [mentions, candidates]: once, and never
            as a negative of itself.
        """
        options = self.options
        answer = removed.entity[:, None]
        near = sample_neighbours(self.graph, removed.entity, removed.keys, count=options.neighbour_negatives)
        # Counted from behind the draws of the neighbours.
        counters = np.arange(options.random_negatives, dtype=np.uint64) + np.uint64(
            options.neighbour_negatives
        )
        drawn = below_array(removed.keys[:, None] + counters, len(self.known))
        columns = [answer, np.where(near.present, near.nodes, answer), self.known[drawn]]
        if options.in_batch_negatives:
            columns.append(np.tile(removed.entity, (len(answer), 1)))
        candidates = np.concatenate(columns, axis=1)
        return candidates, _first_occurrences(candidates)


def neighbourhood(
    graph: Graph,
    wanted: dict[str, NDArray[np.int64]],
    *,
    layers: int,
    count: int,
    key: Sequence[int | str],
    hidden_pairs: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[Any]]:
    """The arrays from which the knowledge module makes E^KM of all entities that are wanted.

    Args:
        graph: whose neighbours are sampled.
        wanted: name -> entities, of any shape.
        layers, count, key, hidden_pairs: of `trainer.jaket.graph.sample_hops`.

    Returns:
        `nodes`, the entities whose context embeddings are read; `hop<i>_<field>`; and each wanted array with
        its entities as rows of the last hop's output.
    """
    targets = np.unique(np.concatenate([entities.ravel() for entities in wanted.values()]))
    nodes, hops = sample_hops(graph, targets, layers=layers, count=count, key=key, hidden_pairs=hidden_pairs)
    fields = {f"hop{i}_{name}": array for i, hop in enumerate(hops) for name, array in vars(hop).items()}
    rows = {name: np.searchsorted(targets, entities) for name, entities in wanted.items()}
    return {"nodes": nodes, **fields, **rows}


def _first_occurrences(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each value occurs in its row for the first time."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    new = np.ones(rows.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty(rows.shape, bool)
    np.put_along_axis(first, order, new, axis=1)
    return first


class Scores(NamedTuple):
    """Scores of the predictions, one matrix a task, in the order of `trainer.jaket.tasks.TERMS`.

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


def score(
    model: JaketModel, memory: Tensor, inputs: Mapping[str, Tensor], *, relations: Tensor | None = None
) -> Scores:
    """Scores of a batch; arguments as of `answer`."""
    found = answer(model, memory, inputs, relations=relations)
    return found._replace(token=model.text.logits(found.token))


def answer(
    model: JaketModel, memory: Tensor, inputs: Mapping[str, Tensor], *, relations: Tensor | None = None
) -> Scores:
    """Scores of a batch, but for tokens the last states [tokens, d], from which the head makes scores.

    Args:
        model: the model.
        memory: [entities, d], the context embeddings; no gradient enters them.
        inputs: of `trainer.jaket.text.prepare` and `trainer.jaket.tasks.neighbourhood`, and `candidates` and
            `allowed` of `trainer.jaket.tasks.Tasks.candidates`.
        relations: [edge kinds, d], relation vectors in place of the model's own.
    """
    read = [inputs[name] for name in ("token_places", "first_places", "last_places")]
    states, knowledge = model(
        inputs["ids"],
        inputs["segments"],
        inputs["positions"],
        context=memory[inputs["nodes"]].float(),
        hops=hops_of(inputs),
        places=inputs["places"],
        entities=inputs["merged"],
        relations=relations,
        at=torch.cat(read),
    )
    tokens, first, last = states.split([len(places) for places in read])
    return Scores(
        model.category_head(knowledge[inputs["category_of"]]),
        model.relation_scores(knowledge[inputs["pairs"]]),
        tokens,
        model.entity_scores(first, last, memory[inputs["candidates"]].float()).masked_fill(
            ~inputs["allowed"], -torch.inf
        ),
    )


def hops_of(inputs: Mapping[str, Tensor]) -> list[HopTensors]:
    """The hops in the arrays of `trainer.jaket.tasks.neighbourhood`."""
    layers = sum(name.endswith("_own") for name in inputs)
    return [HopTensors(*(inputs[f"hop{i}_{name}"] for name in HopTensors._fields)) for i in range(layers)]
