"""MetaQA, 1 to 3 hops, as arXiv 2010.00796 fine-tunes JAKET on it (section 4.2).

Candidates are all entities that the graph reaches from a question's topic; the answer is the one whose
context embedding is nearest to the last state of the question's first token. An entity's description is one
question of training about it, or its name. Relation embeddings are made of the relations' names. `train`
trains, `dev` selects the epoch, `test` scores. In a copy without `train`, nine tenths of `dev` train.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files
from trainer.evaluate.fine_tuning.inputs import drawn
from trainer.evaluate.statistics import over_seeds, selection
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities
from trainer.jaket.evaluate.arms import Memories, memories_of, open_arm
from trainer.jaket.evaluate.fine_tuning import Held, Task, Tuned, batches, fine_tune
from trainer.jaket.evaluate.linked_texts import Linked, Reader, link_spans
from trainer.jaket.evaluate.metaqa_questions import (
    KnowledgeBase,
    Question,
    adjacency,
    question_files,
    reached,
    read_knowledge,
    read_questions,
)
from trainer.jaket.graph import Graph, group_edges
from trainer.jaket.model import JaketModel
from trainer.jaket.relations import centred

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_DESCRIPTION = 64
# Without training questions, one in so many questions of `dev` selects the epoch, and the others train.
_VALIDATION = 10
Splits = Mapping[str, Sequence[Question]]


@dataclass(frozen=True)
class _Asked:
    """A question as it is read, its candidates, and which of them are right [candidates]."""

    text: Linked
    candidates: Tensor
    right: Tensor


class _Answering(Task[list[_Asked]]):
    def __init__(
        self,
        reader: Reader,
        vectors: Tensor,
        parts: Mapping[str, Sequence[_Asked]],
        config: EvaluationConfig,
        *,
        seed: int,
    ) -> None:
        self.module, self._vectors = reader, vectors
        self._parts, self._config, self._seed = parts, config, seed

    def epoch(self, number: int) -> list[list[_Asked]]:
        # A question none of whose answers can be reached teaches nothing.
        order = [asked for asked in self._parts["train"] if asked.right.any()]
        Draw(self._seed, "metaqa-epoch", number).shuffle(order)
        return batches(order, self._config.batch)

    def loss(self, batch: list[_Asked], *, seed: int) -> Tensor:
        """The mean of -log of the share of probability that the right candidates have."""
        losses = [
            scores.logsumexp(0) - scores[asked.right].logsumexp(0)
            for asked, scores in zip(batch, self._scores(batch, seed=seed), strict=True)
        ]
        return torch.stack(losses).mean()

    def score(self, part: Held) -> float:
        hits: list[bool] = []
        for batch in batches(self._parts[part], self._config.batch):
            for asked, scores in zip(batch, self._scores(batch, seed=self._seed), strict=True):
                hits.append(bool(len(scores) and asked.right[scores.argmax()]))
        return float(np.mean(hits))

    def _scores(self, batch: list[_Asked], *, seed: int) -> list[Tensor]:
        """For each question, [candidates]: half the negative squared distance, over the root of d.

        What is the same for all candidates of a question is left out.
        """
        states = self.module([asked.text for asked in batch], seed=seed)
        found = []
        for asked, state in zip(batch, states, strict=True):
            vectors = self._vectors[asked.candidates]
            found.append((vectors @ state - vectors.square().sum(dim=1) / 2) / len(state) ** 0.5)
        return found


def evaluate_metaqa(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune an arm and score it, once for each seed.

    Args:
        model: RUN/model of `train jaket`, or for the baselines any masked language model.
        data: MetaQA's folder.
        config: of the fine-tuning; `limit` is for the questions of each of the files; of
            `jaket`: `arm`, `hops` and `graph_share`, the chance of each triple to stay.

    Returns:
        `arm`, `hops`, `graph_share`, `selection` of the epoch, the number of questions in each part; over the
        seeds `hits_at_1` on test, `reachable`, the share of test questions with an answer among the
        candidates, and `chance`, what a candidate drawn at random scores.

    Raises:
        UsageError: the model cannot be loaded, or is not what the arm needs.
        InputError: a file is missing or malformed.
    """
    options, runs, tuned = config.jaket, [], list[Tuned]()
    folder = Path(data)
    whole = read_knowledge(folder)
    parts = _parts(folder, whole, config)
    for seed in config.seeds:
        jaket, tokenizer = open_arm(
            model,
            options.arm,
            JaketConfig(),
            seed=seed,
            merge=options.merge,
            language_model=options.language_model,
        )
        knowledge = whole.kept(options.graph_share, seed=seed)
        memories = memories_of(
            jaket,
            tokenizer,
            describe(knowledge, parts["train"], tokenizer, seed=seed),
            arm=options.arm,
            relation_texts={},
            relation_memory=options.relation_memory,
            seed=seed,
        )
        asked = _link(parts, tokenizer, knowledge, hops=options.hops, length=config.max_length)
        reader = _reader(jaket, knowledge, memories, config)
        on_device = memories.context.device
        asked = {part: [_moved(one, on_device) for one in of_part] for part, of_part in asked.items()}
        vectors = memories.context
        if options.answer_vectors == "centred":
            vectors = centred(vectors)
        task = _Answering(reader, vectors, asked, config, seed=seed)
        tuned.append(fine_tune(task, config, hidden=memories.context.shape[1], seed=seed))
        right = [one.right for one in asked["test"]]
        runs.append(
            {
                "hits_at_1": tuned[-1].test,
                "reachable": float(np.mean([bool(one.any()) for one in right])),
                "chance": float(np.mean([float(one.float().mean()) if len(one) else 0.0 for one in right])),
            }
        )
    sizes = {part: len(questions) for part, questions in parts.items()}
    shape = {"arm": options.arm, "hops": options.hops, "graph_share": options.graph_share}
    chosen = [(run.epoch, run.validation) for run in tuned]
    selected = selection("hits_at_1", "validation questions", sizes["validation"], chosen)
    return {**shape, "selection": selected, "questions": sizes, **over_seeds(runs)}


def describe(
    knowledge: KnowledgeBase,
    questions: Sequence[Question],
    tokenizer: "PreTrainedTokenizerFast",
    *,
    seed: int,
) -> Entities:
    """Each entity with one of the questions about it, drawn by hash, or its name."""
    texts, spans = list(knowledge.names), [(0, len(name)) for name in knowledge.names]
    # The last one written has the smallest hash.
    order = sorted(questions, key=lambda q: hash64(seed, "metaqa-description", q.text), reverse=True)
    for question in order:
        texts[question.topic], spans[question.topic] = question.text, question.span
    linked = link_spans(tokenizer, texts, [[span] for span in spans], [[i] for i in range(len(texts))])
    cut = [one.cut(_DESCRIPTION + tokenizer.num_special_tokens_to_add()) for one in linked]
    n = len(cut)
    return Entities(
        qids=np.array([b"%09d" % i for i in range(n)]),
        tokens=np.concatenate([one.ids for one in cut]),
        starts=np.concatenate([[0], np.cumsum([len(one.ids) for one in cut])]),
        # Without its mention, the opening token represents it.
        spans=np.array([one.spans[0] if len(one.spans) else (0, 0) for one in cut], np.int32),
        categories=np.full(n, -1, np.int32),
        category_names=[],
        relation_names=knowledge.relations,
    )


def _parts(folder: Path, knowledge: KnowledgeBase, config: EvaluationConfig) -> Splits:
    hops = config.jaket.hops
    has_train = any(matching_files(folder, pattern) for pattern in question_files(hops, "train"))
    parts: dict[str, list[Question]] = {"train": [], "validation": []}
    for split in ("train", "dev", "test") if has_train else ("dev", "test"):
        name = "validation" if split == "dev" else split
        parts[name] = drawn(read_questions(folder, hops, split, knowledge), config.limit)
    if not has_train:
        dev, parts["validation"] = parts["validation"], []
        for question in dev:
            held = hash64("metaqa-validation", question.text) % _VALIDATION == 0
            parts["validation" if held else "train"].append(question)
    empty = [part for part, questions in parts.items() if not questions]
    if empty:
        raise InputError(f"has no question for {empty[0]}", where=str(folder), hint="Raise limit")
    return parts


def _link(
    parts: Splits, tokenizer: "PreTrainedTokenizerFast", knowledge: KnowledgeBase, *, hops: int, length: int
) -> dict[str, list[_Asked]]:
    neighbours = adjacency(knowledge)
    found = {}
    for part, questions in parts.items():
        texts = link_spans(
            tokenizer,
            [q.text for q in questions],
            [[q.span] for q in questions],
            [[q.topic] for q in questions],
        )
        found[part] = [
            _asked(text.cut(length), reached(neighbours, question.topic, hops), question.answers)
            for text, question in zip(texts, questions, strict=True)
        ]
    return found


def _asked(text: Linked, candidates: NDArray[np.int64], answers: Sequence[int]) -> _Asked:
    # Three hops reach some ten thousand entities: all questions' candidates are to fit into memory.
    ids = torch.from_numpy(candidates.astype(np.int32))
    return _Asked(text, ids, torch.from_numpy(np.isin(candidates, answers)))


def _moved(asked: _Asked, device: torch.device) -> _Asked:
    return _Asked(asked.text, asked.candidates.to(device), asked.right.to(device))


def _reader(
    jaket: JaketModel, knowledge: KnowledgeBase, memories: Memories, config: EvaluationConfig
) -> Reader:
    arm = config.jaket.arm
    if arm == "lm":
        return Reader(jaket, None, None, arm=arm)
    return Reader(jaket, memories, graph_of(knowledge, jaket), arm=arm)


def graph_of(knowledge: KnowledgeBase, jaket: JaketModel) -> Graph:
    """The triples as the model reads edges."""
    heads, relations, tails = knowledge.triples.T
    return group_edges(
        heads.astype(np.int32),
        relations.astype(np.int16),
        tails.astype(np.int32),
        nodes=len(knowledge.names),
        relation_count=len(knowledge.relations),
        directions=jaket.config.directions,
    )
