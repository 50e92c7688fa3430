"""Classes of the entities of an unseen graph (arXiv 2010.00796, section 4.2): few labels, the whole graph.

A fifth of the labelled entities is for training, a fifth for the choice of the epoch, the rest for the score;
the graph and the descriptions are there for all. The memories of entities and relations are made once and not
trained. All arms with a graph read an entity alike (`jaket.read_out`): by its E^KM, by the last states of its
own mention in its description, or by both. The arm `lm` has these states alone, without merge; `gnn` has E^KM
alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.contracts.draws import Draw, hash64, hash64_rows
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.statistics import over_seeds, selection
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities, GraphStore
from trainer.jaket.evaluate.arms import memories_of, open_arm, unread
from trainer.jaket.evaluate.fine_tuning import Held, Task, Tuned, batches, fine_tune
from trainer.jaket.evaluate.linked_texts import Linked, Reader
from trainer.jaket.relations import relation_labels

_DESCRIPTION = 64


@dataclass(frozen=True)
class _Splits:
    """Labelled entities' ids, and their classes as numbers of those that training has."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    classes: NDArray[np.int64]
    count: int


class _Classifier(nn.Module):
    """A linear layer on what an arm knows of an entity."""

    def __init__(self, reader: Reader, entities: Entities, *, classes: int) -> None:
        super().__init__()
        self.reader, self._entities = reader, entities
        self.head = nn.Linear(reader.width, classes)

    def forward(self, which: NDArray[np.int64], *, seed: int) -> Tensor:
        """Scores [entities, classes]; `seed` draws the neighbours."""
        scores: Tensor = self.head(self.reader([self._described(int(i)) for i in which], seed=seed))
        return scores

    def _described(self, entity: int) -> Linked:
        entities = self._entities
        ids = entities.tokens[entities.starts[entity] : entities.starts[entity + 1]]
        # Without its own mention the span is the opening token: it represents the entity, so E^KM is merged
        # there.
        return Linked(ids, entities.spans[entity][None].astype(np.int64), np.array([entity]))


class _Classifying(Task[NDArray[np.int64]]):
    def __init__(self, module: _Classifier, parts: _Splits, config: EvaluationConfig, *, seed: int) -> None:
        self.module, self._classifier = module, module
        self._parts, self._config, self._seed = parts, config, seed

    def epoch(self, number: int) -> list[NDArray[np.int64]]:
        order = self._parts.train.tolist()
        Draw(self._seed, "epoch", number).shuffle(order)
        return [np.array(batch) for batch in batches(order, self._config.batch)]

    def loss(self, batch: NDArray[np.int64], *, seed: int) -> Tensor:
        scores = self._classifier(batch, seed=seed)
        return nn.functional.cross_entropy(
            scores, torch.from_numpy(self._parts.classes[batch]).to(scores.device)
        )

    def score(self, part: Held) -> float:
        right: list[bool] = []
        for ids in batches(getattr(self._parts, part).tolist(), self._config.batch):
            batch = np.array(ids)
            best = self._classifier(batch, seed=self._seed).argmax(dim=1).cpu().numpy()
            right += (best == self._parts.classes[batch]).tolist()
        return float(np.mean(right))


def evaluate_entities(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune an arm and score it on the entities left out, once for each seed.

    Args:
        model: RUN/model of `train jaket`, or for the baselines any masked language model.
        data: a build with JAKET's tables of a graph that the model has not seen; of its own build, the
            entities that `jaket.unseen_share` left aside are classified.
        config: of the fine-tuning; of `jaket`: `arm`, `read_out`, `relation_memory`, and `label_share` of
            the training part.

    Returns:
        `arm`, `read_out` as the arm has it, `selection` of the epoch, `classes`, the sizes of the parts, and
        `accuracy` over the seeds; `majority`, that of the most frequent class.

    Raises:
        UsageError: the model cannot be loaded, or is not what the arm needs.
        InputError: the data lack a table, or have too few labelled entities.
    """
    options, runs, tuned = config.jaket, [], list[Tuned]()
    found: dict[str, Any] = {}
    for seed in config.seeds:
        jaket, tokenizer = open_arm(
            model,
            options.arm,
            JaketConfig(),
            seed=seed,
            merge=options.merge,
            language_model=options.language_model,
        )
        store = GraphStore(Path(data), tokenizer, _DESCRIPTION)
        entities = store.entities()
        graph = store.graph(entities, directions=jaket.config.directions, seen=None)
        unseen = unread(model, store, entities)
        parts = split(entities, unseen, label_share=options.label_share, seed=seed)
        memories = memories_of(
            jaket,
            tokenizer,
            entities,
            arm=options.arm,
            relation_texts=relation_labels(Path(data)),
            relation_memory=options.relation_memory,
            seed=seed,
        )
        torch.manual_seed(hash64(seed, "entity-classification"))
        of_arm = (None, None) if options.arm == "lm" else (memories, graph)
        reader = Reader(jaket, *of_arm, arm=options.arm, pooling="mention", read_out=options.read_out)
        classifier = _Classifier(reader, entities, classes=parts.count).to(jaket.device)
        task = _Classifying(classifier, parts, config, seed=seed)
        tuned.append(fine_tune(task, config, hidden=jaket.lm.config.hidden_size, seed=seed))
        majority = np.bincount(parts.classes[parts.train]).argmax()
        runs.append(
            {
                "accuracy": tuned[-1].test,
                "majority": float((parts.classes[parts.test] == majority).mean()),
            }
        )
        sizes = {name: len(getattr(parts, name)) for name in ("train", "validation", "test")}
        found = {"read_out": reader.read_out, "classes": parts.count, **sizes}
    selected = selection(
        "accuracy", "validation entities", found["validation"], [(run.epoch, run.validation) for run in tuned]
    )
    shape = {"arm": options.arm, "label_share": options.label_share, "selection": selected}
    return {**shape, **found, **over_seeds(runs)}


def split(entities: Entities, unseen: NDArray[np.bool_], *, label_share: float, seed: int) -> _Splits:
    """20 / 20 / 60 of the `unseen` [entities] that have a category, by hash, then a share of the first part.

    A class that training does not have gets the number -1, which no answer equals.

    Raises:
        InputError: a part is empty.
    """
    labelled = np.flatnonzero(unseen & (entities.categories >= 0))
    qids = [entities.qids[i].decode() for i in labelled]
    draws = hash64_rows((seed, "entity-classification"), qids) / 2.0**64
    fifth = labelled[draws < 0.2]
    train = fifth[draws[draws < 0.2] < 0.2 * label_share]
    parts = train, labelled[(draws >= 0.2) & (draws < 0.4)], labelled[draws >= 0.4]
    if not all(len(part) for part in parts):
        raise InputError(
            f"{len(labelled)} entities with a category are too few to split",
            where="jaket_entities",
            hint="Build with graph.types, ask for a larger label share, or train with jaket.unseen_share",
        )
    known = np.unique(entities.categories[train])
    numbers = np.full(len(entities.category_names) + 1, -1, np.int64)
    numbers[known] = np.arange(len(known))
    return _Splits(*parts, numbers[entities.categories], len(known))
