"""Ablation of JAKET's memory and graph on entities that training never linked, sampled or predicted.

Two tasks: the category of such an entity, and which entity a removed mention of one refers to, among its
neighbours and random entities. `joint` is the model with the run's memory, or on another build with one that
LM1 makes of its descriptions. The other arms differ from it in one thing each: the memory is made by LM1 as
it was before training (`stale_memory`), or drawn (`random_memory`); or no node has a neighbour (`no_graph`).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.splits import SPLITS
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.statistics import compare
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import GraphStore
from trainer.jaket.graph import Graph
from trainer.jaket.memory import encode
from trainer.jaket.model import FIRST_LOWER, MEMORY, JaketModel, open_jaket
from trainer.jaket.relations import centred, relations_on
from trainer.jaket.tasks import Tasks, hops_of, neighbourhood, score
from trainer.jaket.text import Text, link, prepare, read_passages
from trainer.masking import Vocabulary
from trainer.pretrained import put_tensors, read_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_PER_FORWARD = 64
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class _Questions:
    """What every arm is asked.

    Attributes:
        entities, categories: [entities], whose category, and which it is.
        texts: passages with removed mentions, whose entities, in order, are `removed_entities`.
        splits: [removed mentions], the split of each one's passage.
    """

    entities: NDArray[np.int64]
    categories: NDArray[np.int64]
    texts: list[Text]
    splits: list[str]

    @property
    def removed_entities(self) -> list[int]:
        return [int(entity) for text in self.texts for entity in text.removed.entity]


@dataclass(frozen=True)
class Answers:
    """The arms' answers to the questions of a task.

    Attributes:
        about: [questions], the QID of the entity that each is about.
        right: arm -> [questions], whether its answer was right.
        splits: [questions], the split of each one's passage; empty for the category, which needs none.
    """

    about: list[str]
    right: dict[str, list[bool]]
    splits: list[str]


@dataclass(frozen=True)
class _Arm:
    """A memory [entities, d], and the graph and relation vectors that are read with it."""

    memory: Tensor
    graph: Graph
    relations: Tensor | None


def evaluate_memory(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Score all arms on the same questions.

    Args:
        model: RUN/model of `train jaket`.
        data: a build with JAKET's tables; the run's own, or another one.
        config: `limit` is the number of entities, and of passages of each split, at most; the first of
            `seeds` draws neighbours, negatives and the random memory.

    Returns:
        arm -> accuracy in the `primary` task: the category, or the masked entity where none has a category.
        `category` and `masked_entity`: `n`; `accuracy`, arm -> number; `joint_against`, arm -> what
        `trainer.evaluate.statistics.compare` gives, an entity's questions being one sample. `masked_entity`
        has `by_split` too: the accuracies by the passages' split.

    Raises:
        UsageError: the folder holds no JAKET model.
        InputError: the data lack a table, or have nothing to ask about.
    """
    seed = config.seeds[0]
    found = answers(model, data, seed=seed, limit=config.limit)
    results = {task: _result(of_task, seed=seed) for task, of_task in found.items()}
    primary = next(task for task, of_task in found.items() if of_task.about)
    results["masked_entity"]["by_split"] = _by_split(found["masked_entity"])
    return {**results[primary]["accuracy"], "primary": primary, **results}


def answers(model: str | Path, data: str | Path, *, seed: int, limit: int | None) -> dict[str, Answers]:
    """What each arm says of each question, for the tasks `category` and `masked_entity`.

    Args:
        model, data, limit: as for `evaluate_memory`.
        seed: draws neighbours, negatives and the random memory.

    Raises:
        UsageError, InputError: as `evaluate_memory`.
    """
    jaket, tokenizer = open_jaket(model)
    made = jaket.config
    store = GraphStore(Path(data), tokenizer, made.description_length)
    entities = store.entities()
    graph = store.graph(entities, directions=made.directions, seen=None)
    options = JaketConfig(gat_layers=made.gat_layers, neighbours=made.neighbours)
    tasks = Tasks(entities, graph, options, np.arange(len(entities)), seed)
    questions = _ask(jaket, tasks, tokenizer, Path(data), limit=limit)
    if not len(questions.entities) and not questions.removed_entities:
        raise InputError(
            "training set aside none of the entities that have a category or occur in a passage",
            where=str(data),
            hint="Train with a larger jaket.unseen_share, or score another build",
        )
    arms = _arms(jaket, Path(model), tasks, store)
    category = {name: _categories(jaket, tasks, arm, questions) for name, arm in arms.items()}
    entity = {name: _mentions(jaket, tasks, arm, questions) for name, arm in arms.items()}
    described, removed = (
        [entities.qids[i].decode() for i in ids] for ids in (questions.entities, questions.removed_entities)
    )
    return {
        "category": Answers(described, category, []),
        "masked_entity": Answers(removed, entity, questions.splits),
    }


def _ask(
    jaket: JaketModel, tasks: Tasks, tokenizer: "PreTrainedTokenizerFast", corpus: Path, *, limit: int | None
) -> _Questions:
    """The unseen entities whose category training knew, and the passages that mention an unseen entity."""
    entities, made = tasks.entities, jaket.config
    unseen = entities.unseen(made.unseen_share, made.unseen_seed)
    number = {name: i for i, name in enumerate(made.categories)}
    # The last place means no category, which has the number -1.
    numbers = np.array([*(number.get(name, -1) for name in entities.category_names), -1], np.int64)
    categories = numbers[entities.categories]
    asked = np.flatnonzero(unseen & (categories >= 0))[:limit]
    length, vocabulary = jaket.text.longest, Vocabulary.of_tokenizer(tokenizer)
    texts, splits = [], []
    passages = read_passages(corpus, tokenizer, splits=SPLITS, length=length, limit=limit)
    for split, records in passages.items():
        for first in range(0, len(records), _PER_FORWARD):
            part = records[first : first + _PER_FORWARD]
            mentions = link(part, entities, seen=np.ones(len(entities), bool), seed=tasks.seed)
            removed = unseen[mentions.entity]
            texts.append(
                prepare(
                    part, mentions, removed, vocabulary, mlm_probability=0, length=length, seed=tasks.seed
                )
            )
            splits += [split] * int(removed.sum())
    return _Questions(asked, categories[asked], texts, splits)


def _arms(jaket: JaketModel, folder: Path, tasks: Tasks, store: GraphStore) -> dict[str, _Arm]:
    everyone, pad = np.arange(len(tasks.entities)), store.tokenizer.pad_token_id
    if store.entities_key == jaket.config.entities_key:
        with_relations = jaket.config.text_relations
        saved = read_tensors(folder / MEMORY, "context", *(["relations"] if with_relations else []))
        own = saved["context"].float().to(jaket.device)
        relations = centred(saved["relations"].to(jaket.device)) if with_relations else None
    else:
        own = encode(jaket, tasks.entities, everyone, pad=pad)
        relations = relations_on(jaket, store.tokenizer, tasks.entities, store.corpus)
    before = copy.deepcopy(jaket)
    put_tensors(before.lm, read_tensors(folder / FIRST_LOWER), path=folder / FIRST_LOWER)
    torch.manual_seed(hash64(tasks.seed, "jaket-random-memory"))
    # As far from each other, in each dimension, as the real ones.
    drawn = torch.randn(own.shape).to(own) * own.std(dim=0) + own.mean(dim=0)
    return {
        "joint": _Arm(own, tasks.graph, relations),
        "stale_memory": _Arm(encode(before, tasks.entities, everyone, pad=pad), tasks.graph, relations),
        "random_memory": _Arm(drawn, tasks.graph, relations),
        "no_graph": _Arm(own, tasks.graph.without_edges(), relations),
    }


@torch.inference_mode()
def _categories(jaket: JaketModel, tasks: Tasks, arm: _Arm, questions: _Questions) -> list[bool]:
    """Whether the best-scored category is the right one, for each entity."""
    right: list[bool] = []
    for first in range(0, len(questions.entities), _PER_FORWARD):
        here = slice(first, first + _PER_FORWARD)
        inputs = _around(jaket, tasks, arm, {"asked": questions.entities[here]})
        knowledge = jaket.knowledge(arm.memory[inputs["nodes"]], hops_of(inputs), relations=arm.relations)
        best = jaket.category_head(knowledge[inputs["asked"]]).argmax(dim=1)
        right += (best.cpu().numpy() == questions.categories[here]).tolist()
    return right


@torch.inference_mode()
def _mentions(jaket: JaketModel, tasks: Tasks, arm: _Arm, questions: _Questions) -> list[bool]:
    """Whether the best-scored candidate is the right one, for each removed mention."""
    right: list[bool] = []
    for text in questions.texts:
        candidates, allowed = tasks.candidates(text.removed)
        wanted = {"merged": text.merged, "category_of": _NONE, "pairs": np.empty((0, 2), np.int64)}
        inputs = _around(jaket, tasks, arm, wanted) | _tensors(
            jaket, {**text.inputs, "candidates": candidates, "allowed": allowed}
        )
        best = score(jaket, arm.memory, inputs, relations=arm.relations).entity.argmax(dim=1)
        right += (best == 0).tolist()
    return right


def _around(
    jaket: JaketModel, tasks: Tasks, arm: _Arm, wanted: dict[str, NDArray[np.int64]]
) -> dict[str, Tensor]:
    options, key = tasks.options, (tasks.seed, "jaket-memory")
    return _tensors(
        jaket,
        neighbourhood(arm.graph, wanted, layers=options.gat_layers, count=options.neighbours, key=key),
    )


def _tensors(jaket: JaketModel, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array).to(jaket.device) for name, array in arrays.items()}


def _result(found: Answers, *, seed: int) -> dict[str, Any]:
    """Each arm's accuracy, and what the joint one gains over the others."""
    joint = found.right["joint"]
    return {
        "n": len(found.about),
        "accuracy": {arm: float(np.mean(hits)) if hits else 0.0 for arm, hits in found.right.items()},
        "joint_against": {
            arm: compare(joint, hits, found.about, seed=seed)
            for arm, hits in found.right.items()
            if arm != "joint"
        },
    }


def _by_split(found: Answers) -> dict[str, dict[str, float]]:
    """split -> arm -> accuracy."""
    return {
        split: {
            arm: float(np.mean([hit for hit, s in zip(hits, found.splits, strict=True) if s == split]))
            for arm, hits in found.right.items()
        }
        for split in sorted(set(found.splits))
    }
