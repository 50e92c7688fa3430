"""Classes of the entities of an unseen graph (arXiv 2010.00796, section 4.3): few labels, the whole graph.

A fifth of the labelled entities is for training, a fifth for the choice of the epoch, the rest for the score;
the graph and the descriptions are there for all. The memories of entities and relations are made once and not
trained. An entity is told by the last states of its own mention in its description; for the arm `lm` without
merge, and for `gnn` by its E^KM alone, which no text has touched.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.contracts.draws import Draw, hash64, hash64_rows
from kgcorpus.contracts.errors import InputError
from trainer.config import JaketConfig
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.summary import over_seeds
from trainer.jaket.adapt import Arm, Memories, memories_of, open_arm, relation_labels
from trainer.jaket.entities import Entities, GraphStore
from trainer.jaket.graph import Graph
from trainer.jaket.memory import pack_descriptions
from trainer.jaket.model import JaketModel
from trainer.jaket.scoring import hops_of
from trainer.jaket.tasks import neighbourhood

_RATE_TIMES_WIDTH = 0.03
_DESCRIPTION = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    """Labelled entities' ids, and their classes as numbers of those that training has."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    classes: NDArray[np.int64]
    count: int


class _Classifier(nn.Module):
    """A linear layer on what an arm knows of an entity."""

    def __init__(
        self,
        jaket: JaketModel,
        memories: Memories,
        entities: Entities,
        graph: Graph,
        *,
        arm: Arm,
        classes: int,
    ) -> None:
        super().__init__()
        self.jaket, self._arm = jaket, arm
        self._memories, self._entities, self._graph = memories, entities, graph
        self.head = nn.Linear(jaket.lm.config.hidden_size, classes).to(jaket.device)

    def forward(self, which: NDArray[np.int64], *, seed: int) -> Tensor:
        """Scores [entities, classes]; `seed` draws the neighbours."""
        jaket, entities, device = self.jaket, self._entities, self.jaket.device
        packed, ends = pack_descriptions(entities, which, pad=jaket.lm.config.pad_token_id)
        rows = [torch.from_numpy(x).to(device) for x in (packed.ids, packed.segments, packed.positions)]
        if self._arm == "lm":
            return self._told(jaket.text.states(*rows), ends)
        # An entity without a mention of its own is told by the opening token, at which nothing is merged.
        sizes = np.where(entities.spans[which, 1] > 0, ends[:, 1] - ends[:, 0] + 1, 0)
        owner = np.repeat(np.arange(len(which)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        arrays = neighbourhood(
            self._graph,
            {"asked": which, "merged": which[owner]},
            layers=jaket.config.gat_layers,
            count=jaket.config.neighbours,
            key=(seed, "entity-classification"),
        )
        inputs = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        context, relations = self._memories.context[inputs["nodes"]], self._memories.relations
        if self._arm == "gnn":
            knowledge = jaket.knowledge(context, hops_of(inputs), relations=relations)
            return self.head(knowledge[inputs["asked"]])
        states, _ = jaket(
            *rows,
            context=context,
            hops=hops_of(inputs),
            places=torch.from_numpy(ends[owner, 0] + within).to(device),
            entities=inputs["merged"],
            relations=relations,
        )
        return self._told(states, ends)

    def _told(self, states: Tensor, ends: NDArray[np.int64]) -> Tensor:
        scores: Tensor = self.head(states.flatten(0, 1)[torch.from_numpy(ends).to(states.device)].mean(dim=1))
        return scores


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune an arm and score it on the entities left out, once for each seed.

    Args:
        model: RUN/model of `train jaket`, or for the baselines any masked language model.
        data: a build with JAKET's tables of a graph that the model has not seen.
        config: of the fine-tuning; `jaket.arm`, and `jaket.label_share` of the training part.

    Returns:
        `arm`, `classes`, the sizes of the parts, and `accuracy` over the seeds; `majority`, that of the most
        frequent class.

    Raises:
        UsageError: the model cannot be loaded, or is not what the arm needs.
        InputError: the data lack a table, or have too few labelled entities.
    """
    options, runs = config.jaket, []
    found: dict[str, Any] = {}
    for seed in config.seeds:
        jaket, tokenizer = open_arm(model, options.arm, JaketConfig(), seed=seed)
        store = GraphStore(Path(data), tokenizer, _DESCRIPTION)
        entities = store.entities()
        graph = store.graph(entities, directions=jaket.config.directions, seen=None)
        parts = split(entities, label_share=options.label_share, seed=seed)
        memories = memories_of(
            jaket,
            tokenizer,
            entities,
            arm=options.arm,
            relation_texts=relation_labels(Path(data)),
            seed=seed,
        )
        torch.manual_seed(hash64(seed, "entity-classification"))
        classifier = _Classifier(jaket, memories, entities, graph, arm=options.arm, classes=parts.count)
        majority = np.bincount(parts.classes[parts.train]).argmax()
        runs.append(
            {
                "accuracy": _fine_tune(classifier, parts, config, seed=seed),
                "majority": float((parts.classes[parts.test] == majority).mean()),
            }
        )
        found = {"classes": parts.count} | {
            name: len(getattr(parts, name)) for name in ("train", "validation", "test")
        }
    return {"arm": options.arm, "label_share": options.label_share, **found, **over_seeds(runs)}


def split(entities: Entities, *, label_share: float, seed: int) -> _Parts:
    """20 / 20 / 60 of the entities that have a category, by hash, then a share of the first part.

    A class that training does not have gets the number -1, which no answer equals.

    Raises:
        InputError: a part is empty.
    """
    labelled = np.flatnonzero(entities.categories >= 0)
    qids = [entities.qids[i].decode() for i in labelled]
    draws = hash64_rows((seed, "entity-classification"), qids) / 2.0**64
    fifth = labelled[draws < 0.2]
    train = fifth[draws[draws < 0.2] < 0.2 * label_share]
    parts = train, labelled[(draws >= 0.2) & (draws < 0.4)], labelled[draws >= 0.4]
    if not all(len(part) for part in parts):
        raise InputError(
            f"{len(labelled)} entities with a category are too few to split",
            where="jaket_entities",
            mend="Build with graph.types, or with a larger label share",
        )
    known = np.unique(entities.categories[train])
    numbers = np.full(len(entities.category_names) + 1, -1, np.int64)
    numbers[known] = np.arange(len(known))
    return _Parts(*parts, numbers[entities.categories], len(known))


def _fine_tune(classifier: _Classifier, parts: _Parts, config: EvaluationConfig, *, seed: int) -> float:
    """The test accuracy after the epoch that is best on validation."""
    rate = config.lr or _RATE_TIMES_WIDTH / classifier.head.in_features
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=rate, weight_decay=config.weight_decay)
    steps = config.epochs * -(-len(parts.train) // config.batch)
    warmup = max(1, round(config.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
    )
    best = (-1.0, -1.0)
    for epoch in range(config.epochs):
        classifier.train()
        for i, batch in enumerate(_batches(parts.train, config.batch, Draw(seed, "epoch", epoch))):
            torch.manual_seed(hash64(seed, "entity-classification", epoch, i))
            scores = classifier(batch, seed=hash64(seed, epoch, i))
            right = torch.from_numpy(parts.classes[batch]).to(scores.device)
            nn.functional.cross_entropy(scores, right).backward()
            nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        scored = [
            _accuracy(classifier, part, parts, config, seed=seed) for part in (parts.validation, parts.test)
        ]
        _log.info("epoch %d: validation %.3f", epoch + 1, scored[0])
        if scored[0] > best[0]:
            best = scored[0], scored[1]
    return best[1]


@torch.inference_mode()
def _accuracy(
    classifier: _Classifier, part: NDArray[np.int64], parts: _Parts, config: EvaluationConfig, *, seed: int
) -> float:
    classifier.eval()
    right = 0
    for first in range(0, len(part), config.batch):
        batch = part[first : first + config.batch]
        best = classifier(batch, seed=seed).argmax(dim=1).cpu().numpy()
        right += int((best == parts.classes[batch]).sum())
    return right / len(part)


def _batches(ids: NDArray[np.int64], size: int, draw: Draw) -> Iterator[NDArray[np.int64]]:
    order = ids.tolist()
    draw.shuffle(order)
    for first in range(0, len(order), size):
        yield np.array(order[first : first + size])
