"""TRELM's decoding task on held-out passages, and how much of its score is the answer that was injected.

An injected embedding is made of the fact that is asked for, so the score is also given with nothing injected
and with another fact of the same entity. The facts are not held out: the graph embedding knows all of them,
and training asked for those of the entities that its own passages mention.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.tokens import ensure_tokens
from trainer.evaluate.bootstrap import compare
from trainer.evaluate.builds.cka_arms import make_arms
from trainer.evaluate.config import EvaluationConfig
from trainer.models import open_lm
from trainer.shards import MentionRecord, ShardStream
from trainer.trelm.batches import Packer
from trainer.trelm.examples import Example
from trainer.trelm.extras import load_extras, read_options
from trainer.trelm.facts import open_graph
from trainer.trelm.inventory import take_inventory
from trainer.trelm.model import TrelmModel
from trainer.trelm.negatives import Asked, NegativeSampler
from trainer.trelm.parts import Parts
from trainer.trelm.words import WordFinder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPLITS = ("validation", "test")
_PASSAGES_PER_FORWARD = 32
# [tokens, 2]: whether each was told from its negatives, and from the whole vocabulary.
Right = NDArray[np.bool_]


def benchmark(model: str, data: str, config: EvaluationConfig) -> dict[str, Any]:
    """`evaluate` as a benchmark: its limit and its first seed are read."""
    return evaluate(model, data, limit=config.limit, seed=config.seeds[0])


def evaluate(
    model: str | Path, corpus: str | Path, *, limit: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Score a model's decoding of facts on the held-out passages, without memory.

    Args:
        model: RUN/model of `train trelm`.
        corpus: the build whose shards are read.
        limit: passages at most.
        seed: of the facts asked for, of the negatives and of the bootstrap.

    Returns:
        `sampled`: a token is right if it scores above its negatives; `vocabulary`: above every token but
        those of other true ends. Each has the shares of right tokens with the asked fact injected
        (`injected`), with nothing (`not_injected`), of the guess by frequency in the training passages
        (`unigram`) and by frequency at this place of the labels of the relation's other ends (`relation`);
        `over_unigram` and `over_relation` compare the first with the guesses, passages resampled.
        `another_fact`: of entities with several facts, with another one injected (`another`) and with the
        one asked for (`same`).

    Raises:
        UsageError: the model cannot be loaded or is none of TRELM.
        InputError: no finished build, or no held-out passage asks for anything.
    """
    corpus, folder = Path(corpus), Path(model)
    options, kge = read_options(folder)
    packed, tokenizer = open_lm(folder)
    hidden = int(packed.lm.config.hidden_size)
    graph = open_graph(corpus, relation_names=options.provider == "shared")
    parts = Parts.of(options, tokenizer, graph, kge=kge, hidden=hidden, seed=seed)
    trelm = parts.model(packed)
    load_extras(folder, trelm)
    trelm.eval().to(packed.table.device)
    files = _token_files(corpus, tokenizer)
    # Models that were trained on other mentions are asked about the same ones.
    asked = options.model_copy(update={"mentions": "important", "inject": "both", "min_si": 0.0})
    inventory = take_inventory(
        files["train"],
        asked,
        words=WordFinder(tokenizer),
        vocabulary=len(tokenizer),
        special_ids=tokenizer.all_special_ids,
    )
    chooser = replace(parts, options=asked).chooser(min_si=inventory.min_si)
    records = _records([file for split in SPLITS for file in files[split]], packed.longest, limit, seed)
    examples = parts.maker(chooser, share=0.0, slots=None).make(records) if records else []
    tokens = _asked(examples)
    if not tokens:
        raise InputError("no held-out passage asks for a fact", where=str(corpus))
    negatives = parts.negatives(inventory.unigrams)
    packer = parts.packer(negatives, memory=None, length=packed.longest, rows=_PASSAGES_PER_FORWARD)
    right = {
        name: _score(trelm, packer, negatives, arm)
        for name, arm in vars(make_arms(examples, records, chooser, seed=seed)).items()
    }
    right["unigram"] = _judge((inventory.unigrams for _ in tokens), tokens, negatives)
    right["relation"] = _judge(_relation_counts(tokens, parts, len(tokenizer)), tokens, negatives)
    passages = [example.name for example in examples for _ in _asked([example])]
    return {
        "splits": list(SPLITS),
        "passages": len(records),
        "tokens": len(tokens),
        "sampled": _summary({name: found[:, 0] for name, found in right.items()}, passages, seed=seed),
        "vocabulary": _summary({name: found[:, 1] for name, found in right.items()}, passages, seed=seed),
    }


def _summary(right: dict[str, Right], passages: Sequence[str], *, seed: int) -> dict[str, Any]:
    arms = ("injected", "not_injected", "unigram", "relation")
    injected = right["injected"].tolist()
    return {
        **{name: float(right[name].mean()) for name in arms},
        "over_unigram": compare(injected, right["unigram"].tolist(), passages, seed=seed),
        "over_relation": compare(injected, right["relation"].tolist(), passages, seed=seed),
        "another_fact": {
            "tokens": len(right["another"]),
            **{name: float(right[name].mean()) for name in ("another", "same") if len(right[name])},
        },
    }


@torch.inference_mode()
def _score(
    model: TrelmModel, packer: Packer, negatives: NegativeSampler, examples: Sequence[Example]
) -> Right:
    """Whether the model is right about each token."""
    device = model.packed.table.device
    found = [np.empty((0, 2), bool)]
    for first in range(0, len(examples), _PASSAGES_PER_FORWARD):
        # No more passages than rows: one batch, whose tokens stand in the examples' order.
        chunk = examples[first : first + _PASSAGES_PER_FORWARD]
        (batch,) = packer.batches(chunk, step=0, memory_weight=0.0)
        inputs = {name: torch.from_numpy(array).to(device) for name, array in batch.inputs.items()}
        states = model.asked_states(model.states(inputs), inputs)
        scores = (states @ model.packed.table.T + model.packed.bias).float().cpu().numpy()
        found.append(_judge(scores, _asked(chunk), negatives))
    return np.concatenate(found)


def _judge(scores: Iterable[NDArray[Any]], tokens: Sequence[Asked], negatives: NegativeSampler) -> Right:
    """Whether the best-scored candidate is the true one; of equals the first by id is chosen.

    Args:
        scores: of the vocabulary, for each token.
    """
    pool, allowed = negatives.draw(tokens, step=0)
    right = np.zeros((len(tokens), 2), bool)
    for i, (score, token) in enumerate(zip(scores, tokens, strict=True)):
        candidates = np.sort(np.append(pool[allowed[i]], token.label))
        others = np.setdiff1d(negatives.other_truths(token), [token.label])
        possible = np.setdiff1d(np.arange(len(score)), others, assume_unique=True)
        right[i] = [chosen[score[chosen].argmax()] == token.label for chosen in (candidates, possible)]
    return right


def _relation_counts(tokens: Sequence[Asked], parts: Parts, vocabulary: int) -> Iterable[NDArray[Any]]:
    """For each token, how often each of the vocabulary stands at its place in the labels of a fact's end."""

    @lru_cache(256)
    def count(relation: str, direction: str, place: int) -> NDArray[np.int64]:
        ends = parts.graph.facts.range_of(relation, direction).counts()
        found = np.zeros(vocabulary, np.int64)
        for label, times in zip(parts.labels.of_all(list(ends)), ends.values(), strict=True):
            if len(label) > place:
                found[label[place]] += times
        return found

    return (count(token.fact["r"], token.fact["direction"], token.place) for token in tokens)


def _records(files: Sequence[Path], length: int, limit: int | None, seed: int) -> list[MentionRecord]:
    stream: ShardStream[MentionRecord] = ShardStream(files, name="cka", seed=seed, max_length=length)
    return stream.take(min(stream.rows, limit or stream.rows))


def _token_files(corpus: Path, tokenizer: "PreTrainedTokenizerFast") -> dict[str, list[Path]]:
    load_manifest(corpus, required=True).check_pending(corpus, ("trelm",))
    mask = str(tokenizer.mask_token)
    return ensure_tokens(corpus, "trelm", tokenizer.backend_tokenizer, mask_token=mask)


def _asked(examples: Sequence[Example]) -> list[Asked]:
    return [token for example in examples for question in example.questions for token in question.tokens]
