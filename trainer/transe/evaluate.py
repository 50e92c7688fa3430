"""Link prediction: filtered mean reciprocal rank and Hits@k (Bordes et al. 2013, section 4.1)."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.transe.data import places, read_facts
from trainer.transe.embeddings import Embeddings, open_embeddings

_QUERIES = 256
# A matrix product would lose the digits that tell near entities apart.
_EXACT = "donot_use_mm_for_euclid_dist"
_HEAD, _RELATION, _TAIL = range(3)


def evaluate_link_prediction(model: str, data: str, _: EvaluationConfig) -> dict[str, Any]:
    """`score_vectors` as a benchmark; no setting changes it."""
    return score_vectors(model, data)


def score_vectors(model: str, data: str) -> dict[str, Any]:
    """Score a run of TransE on a folder with the files `*train.txt`, `*valid.txt` and `*test.txt`.

    Args:
        model: RUN/model.
        data: the folder; lines are `h r t`, tab-separated (CoDEx, FB15k-237, Wikidata5M).

    Returns:
        What `link_prediction` gives for the test facts, `chance` (the mrr of random ranks) and `unknown`:
        facts of the test left out because no training fact has their entity or relation.

    Raises:
        InputError: no embeddings, or a file is missing or damaged.
    """
    embeddings = open_embeddings(model)
    ids = pa.array(embeddings.entity_ids, pa.string()), pa.array(embeddings.relation_ids, pa.string())
    facts = {part: places(read_facts(_only(Path(data), part)), *ids) for part in ("train", "valid", "test")}
    known = {part: rows[(rows >= 0).all(axis=1)] for part, rows in facts.items()}
    if not len(known["test"]):
        raise InputError("no test fact has vectors", where=data, hint="Evaluate on the graph trained on")
    n = len(embeddings.entity_ids)
    return {
        **link_prediction(embeddings, known["test"], known=np.concatenate(list(known.values()))),
        "chance": float((1 / np.arange(1, n + 1)).mean()),
        "unknown": len(facts["test"]) - len(known["test"]),
    }


def _only(folder: Path, part: str) -> Path:
    found = sorted(folder.glob(f"*{part}.txt"))
    if len(found) != 1:
        raise InputError(f"holds {len(found)} files *{part}.txt instead of one", where=str(folder))
    return found[0]


def link_prediction(
    embeddings: Embeddings, facts: NDArray[np.integer], *, known: NDArray[np.integer]
) -> dict[str, Any]:
    """Rank the right tail among all entities, and the right head.

    Entities that make another known fact are left out of a ranking; the rank among equal distances is the
    middle one.

    Args:
        embeddings: the model.
        facts: [n, 3] rows of head, relation and tail.
        known: [m, 3] all facts that are true, `facts` among them or not.

    Returns:
        n, and over both directions mrr, hits@1, hits@3 and hits@10.
    """
    entities = torch.from_numpy(np.array(embeddings.entities))
    relations = torch.from_numpy(np.array(embeddings.relations))
    ranks = []
    for side, given in ((_TAIL, _HEAD), (_HEAD, _TAIL)):
        true = _Answers(known, given, side, relations=len(relations))
        sign = 1 if side == _TAIL else -1
        for first in range(0, len(facts), _QUERIES):
            part = facts[first : first + _QUERIES].astype(np.int64)
            query = entities[part[:, given]] + sign * relations[part[:, _RELATION]]
            distance = torch.cdist(query, entities, p=embeddings.norm, compute_mode=_EXACT)
            ranks.append(_ranks(distance, torch.from_numpy(part[:, side]), true.of(part)))
    rank = np.concatenate(ranks)
    hits = {f"hits@{k}": float((rank <= k).mean()) for k in (1, 3, 10)}
    return {"n": len(facts), "mrr": float((1 / rank).mean()), **hits}


def _ranks(
    distance: torch.Tensor, answer: torch.Tensor, true: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """[queries] middle ranks of the answers, by distance [queries, entities]; `true` are left out."""
    own = distance.gather(1, answer[:, None])
    distance[torch.from_numpy(true[0]), torch.from_numpy(true[1])] = torch.inf
    distance.scatter_(1, answer[:, None], torch.inf)
    nearer, level = (distance < own).sum(dim=1), (distance == own).sum(dim=1)
    middle: NDArray[np.float64] = (1 + nearer + level / 2).double().numpy()
    return middle


class _Answers:
    """The known answers to (entity, relation)."""

    def __init__(self, known: NDArray[np.integer], given: int, side: int, *, relations: int) -> None:
        self._given, self._relations = given, relations
        keys = self._keys(known)
        order = np.argsort(keys, kind="stable")
        self._sorted, self._answers = keys[order], known[order, side].astype(np.int64)

    def of(self, facts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row of `facts` and answer, of all answers to all rows."""
        keys = self._keys(facts)
        first = np.searchsorted(self._sorted, keys, side="left")
        count = np.searchsorted(self._sorted, keys, side="right") - first
        rows = np.repeat(np.arange(len(facts)), count)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        return rows, self._answers[first[rows] + within]

    def _keys(self, facts: NDArray[np.integer]) -> NDArray[np.int64]:
        given: NDArray[np.int64] = facts[:, self._given].astype(np.int64)
        return given * self._relations + facts[:, _RELATION]
