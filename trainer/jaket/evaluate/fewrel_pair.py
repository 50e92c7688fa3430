"""FewRel N-way K-shot with PAIR (Gao et al. 2019), as arXiv 2010.00796 fine-tunes JAKET on it (section 4.2).

A query and a support sentence are read as one text, and the first token's last state tells how alike their
relations are; a relation's score is the mean over its supports. Relation embeddings are zeros, "to avoid
leakage". Head and tail are put between punctuation marks (Zhou and Chen 2022), which every vocabulary has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.errors import InputError, UsageError
from trainer.evaluate.config import AdaptationConfig, EvaluationConfig
from trainer.evaluate.files import matching_files, only_file
from trainer.evaluate.fine_tuning.fewrel import Sentence, read_sentences
from trainer.evaluate.statistics import over_seeds, selection
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities, GraphStore
from trainer.jaket.evaluate.arms import Memories, memories_of, open_arm
from trainer.jaket.evaluate.fine_tuning import Held, Task, Tuned, fine_tune
from trainer.jaket.evaluate.linked_texts import Linked, Reader, link_spans
from trainer.jaket.graph import Graph
from trainer.jaket.model import JaketModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_MARKS = ("@", "#")
_TRAIN, _TEST = "train_wiki.json", "val_wiki.json"
# One in so many training relations selects the epoch.
_VALIDATION = 4
_DESCRIPTION = 64
Relations = Mapping[str, Sequence[Linked]]


@dataclass(frozen=True)
class Episode:
    """Some relations, support sentences of each, and one query of each.

    Attributes:
        supports: [ways][shots].
        queries: [ways], of the relations in their order.
    """

    supports: list[list[Linked]]
    queries: list[Linked]


class _Pair(nn.Module):
    def __init__(self, reader: Reader, hidden: int) -> None:
        super().__init__()
        self.reader = reader
        self.head = nn.Linear(hidden, 1)

    def forward(self, episode: Episode, *, seed: int, length: int) -> Tensor:
        """Scores [queries, ways]."""
        texts = [
            query.cut(length // 2).beside(support.cut(length // 2))
            for query in episode.queries
            for shown in episode.supports
            for support in shown
        ]
        scores: Tensor = self.head(self.reader(texts, seed=seed)).squeeze(1)
        shots = len(episode.supports[0])
        return scores.view(len(episode.queries), -1, shots).mean(dim=2)


class _Episodes(Task[Episode]):
    def __init__(
        self, module: _Pair, relations: Mapping[str, Relations], config: EvaluationConfig, *, seed: int
    ) -> None:
        self.module, self._pair = module, module
        self._relations, self._config, self._seed = relations, config, seed
        # Of the last scoring of the test, which is that of the selected epoch: (both ends linked, right).
        self.tested: list[tuple[bool, bool]] = []

    def epoch(self, number: int) -> list[Episode]:
        return self._drawn("train", self._config.jaket.train_episodes, number)

    def loss(self, batch: Episode, *, seed: int) -> Tensor:
        scores = self._pair(batch, seed=seed, length=self._config.max_length)
        return nn.functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))

    def score(self, part: Held) -> float:
        count = self._config.jaket.test_episodes
        right: list[tuple[bool, bool]] = []
        for episode in self._drawn(part, count if part == "test" else -(-count // 5)):
            best = self._pair(episode, seed=self._seed, length=self._config.max_length).argmax(dim=1).cpu()
            covered = [len(query.entities) == 2 for query in episode.queries]
            right += zip(covered, (best == torch.arange(len(best))).tolist(), strict=True)
        if part == "test":
            self.tested = right
        return float(np.mean([yes for _, yes in right]))

    def _drawn(self, part: str, count: int, epoch: int = 0) -> list[Episode]:
        options, relations = self._config.jaket, self._relations[part]
        draws = (Draw(self._seed, "fewrel-episode", part, epoch, i) for i in range(count))
        return [draw_episode(relations, options.ways, options.shots, draw=draw) for draw in draws]


def evaluate_fewrel_pair(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune an arm on some relations and score it on others, once for each seed.

    The relations of `train_wiki.json` train, but a quarter of them, by hash, select the epoch; those of
    `val_wiki.json` are scored. If there is one file only, its relations are split in thirds.

    Args:
        model: RUN/model of `train jaket`, or for the baselines any masked language model.
        data: a folder with FewRel's `*_wiki.json`, or one such file.
        config: of the fine-tuning; of `jaket`: `arm`, `graph`, `ways`, `shots` and numbers of episodes.
            `max_length` is for a pair of sentences.

    Returns:
        `arm`, `ways`, `shots`, `selection` of the epoch, the relations of each part, `linked`, the share of
        the heads and tails that the graph knows, and `accuracy` over the seeds; of chance it is 1 / ways.
        `covered` and `uncovered`: `n` and `accuracy` of the test queries of all seeds whose head and tail
        the graph knows, and of the others; without queries the accuracy is None.

    Raises:
        UsageError: the model cannot be loaded or is not what the arm needs, or the arm needs a graph.
        InputError: data are missing or malformed, or have too few relations or sentences.
    """
    options, tuned = config.jaket, list[Tuned]()
    found: dict[str, Any] = {}
    tested: list[tuple[bool, bool]] = []
    for seed in config.seeds:
        jaket, tokenizer = open_arm(
            model,
            options.arm,
            JaketConfig(),
            seed=seed,
            merge=options.merge,
            language_model=options.language_model,
        )
        entities, graph, memories = _graph(jaket, tokenizer, options, seed=seed)
        sentences = read_sentences(data)
        if entities is not None and graph is not None and options.pair_edges == "hidden":
            graph = graph.without_pairs(_pairs_of(sentences, entities))
        relations = _linked(sentences, tokenizer, entities)
        parts = _parts(Path(data), sentences, options, seed=seed)
        for of_part in parts.values():
            _check(relations, of_part, options)
        torch.manual_seed(hash64(seed, "fewrel-pair"))
        hidden = jaket.lm.config.hidden_size
        module = _Pair(Reader(jaket, memories, graph, arm=options.arm), hidden).to(jaket.device)
        held = {part: {name: relations[name] for name in names} for part, names in parts.items()}
        task = _Episodes(module, held, config, seed=seed)
        tuned.append(fine_tune(task, config, hidden=hidden, seed=seed))
        tested += task.tested
        mentions = [len(sentence.entities) / 2 for of_one in relations.values() for sentence in of_one]
        found = {"linked": float(np.mean(mentions)), "relations": parts}
    return {
        "arm": options.arm,
        "ways": options.ways,
        "shots": options.shots,
        "selection": selection(
            "accuracy",
            "queries of the validation relations",
            -(-options.test_episodes // 5) * options.ways,
            [(run.epoch, run.validation) for run in tuned],
        ),
        **found,
        "covered": _accuracy([right for covered, right in tested if covered]),
        "uncovered": _accuracy([right for covered, right in tested if not covered]),
        **over_seeds([{"accuracy": run.test} for run in tuned]),
    }


def _accuracy(right: Sequence[bool]) -> dict[str, float | int | None]:
    return {"n": len(right), "accuracy": float(np.mean(right)) if right else None}


def split(names: Sequence[str], *, ways: int, seed: int) -> dict[str, list[str]]:
    """train, validation and test relations, in thirds by hash; no part has fewer than `ways` if it can be.

    FewRel's own test relations are hidden, so the public ones are split again.
    """
    dealt = sorted(names, key=lambda name: hash64(seed, "fewrel-relation", name))
    third = max(ways, len(dealt) // 3)
    return {
        "test": sorted(dealt[:third]),
        "validation": sorted(dealt[third : 2 * third]),
        "train": sorted(dealt[2 * third :]),
    }


def draw_episode(relations: Relations, ways: int, shots: int, *, draw: Draw) -> Episode:
    """Relations, supports and queries without replacement; each equally likely."""
    chosen = draw.sample(sorted(relations), ways)
    sentences = [draw.sample(relations[name], shots + 1) for name in chosen]
    return Episode([own[:shots] for own in sentences], [own[shots] for own in sentences])


def _check(relations: Relations, names: Sequence[str], options: AdaptationConfig) -> None:
    """Whether a part, `names`, has enough for an episode."""
    hint = "Ask for fewer jaket.ways or jaket.shots"
    if len(names) < options.ways:
        many = f"{len(relations)} relations are too few for three parts of {options.ways} ways"
        raise InputError(many, where="FewRel", hint=hint)
    for name in names:
        if len(relations[name]) <= options.shots:
            few = f"{name} has no more than {options.shots} sentences"
            raise InputError(few, where="FewRel", hint=hint)


def _graph(
    jaket: JaketModel, tokenizer: "PreTrainedTokenizerFast", options: AdaptationConfig, *, seed: int
) -> tuple[Entities | None, Graph | None, Memories | None]:
    if options.arm == "lm":
        return None, None, None
    if options.graph is None:
        raise UsageError(
            f"the arm {options.arm} needs a graph", where="jaket.graph", hint="Name a build, or take arm lm"
        )
    store = GraphStore(Path(options.graph), tokenizer, _DESCRIPTION)
    entities = store.entities()
    graph = store.graph(entities, directions=jaket.config.directions, seen=None)
    memories = memories_of(jaket, tokenizer, entities, arm=options.arm, relation_texts=None, seed=seed)
    return entities, graph, memories


def _parts(
    data: Path, found: Mapping[str, Sequence[Sentence]], options: AdaptationConfig, *, seed: int
) -> dict[str, list[str]]:
    """The relations of each part: as published where `train_wiki.json` and `val_wiki.json` are both there."""
    if data.is_file() or not matching_files(data, _TRAIN) or not matching_files(data, _TEST):
        return split(sorted(found), ways=options.ways, seed=seed)
    of_train, of_test = (sorted(read_sentences(only_file(data, name))) for name in (_TRAIN, _TEST))
    if both := sorted({*of_train} & {*of_test}):
        raise InputError(f"{_TRAIN} and {_TEST} share relations: {', '.join(both[:3])}", where=str(data))
    dealt = sorted(of_train, key=lambda name: hash64(seed, "fewrel-relation", name))
    held = max(options.ways, len(dealt) // _VALIDATION)
    return {"test": of_test, "validation": sorted(dealt[:held]), "train": sorted(dealt[held:])}


def _pairs_of(found: Mapping[str, Sequence[Sentence]], entities: Entities) -> NDArray[np.int64]:
    """[pairs, 2], heads and tails of all sentences whose two ends the graph knows."""
    qids = [qid for sentences in found.values() for sentence in sentences for qid in sentence.qids]
    pairs = entities.find(qids).reshape(-1, 2)
    return pairs[(pairs >= 0).all(axis=1)]


def _linked(
    found: Mapping[str, Sequence[Sentence]],
    tokenizer: "PreTrainedTokenizerFast",
    entities: Entities | None,
) -> dict[str, list[Linked]]:
    relations = {}
    for name, sentences in found.items():
        texts, spans, ids = [], [], []
        for sentence in sentences:
            text, of_text = marked_spans(sentence.tokens, (sentence.head, sentence.tail))
            known = entities.find(sentence.qids) if entities else np.full(2, -1)
            texts.append(text)
            spans.append([span for span, entity in zip(of_text, known, strict=True) if entity >= 0])
            ids.append([int(entity) for entity in known if entity >= 0])
        relations[name] = link_spans(tokenizer, texts, spans, ids)
    return relations


def marked_spans(
    tokens: Sequence[str], mentions: Sequence[tuple[int, int]]
) -> tuple[str, list[tuple[int, int]]]:
    """The tokens joined by spaces, with marks around the mentions [start, end), and those as characters."""
    words, places = list[str](), list[int]()
    for i, token in enumerate([*tokens, ""]):
        words += [mark for mark, (_, end) in zip(_MARKS, mentions, strict=True) if end == i]
        words += [mark for mark, (first, _) in zip(_MARKS, mentions, strict=True) if first == i]
        places.append(len(words))
        words.append(token)
    starts = np.cumsum([0, *(len(word) + 1 for word in words)]).tolist()
    spans = [(starts[places[first]], starts[places[end - 1] + 1] - 1) for first, end in mentions]
    return " ".join(words[:-1]), spans
