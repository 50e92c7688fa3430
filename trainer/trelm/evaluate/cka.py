"""TRELM's decoding task on held-out passages, and how much of its score is the answer that was injected.

An injected embedding is made of the fact that is asked for, so the score is also given with nothing injected
and with another fact of the same entity. The passages are held out, the facts are not: the graph embedding
knows all of them, and training may have asked for those of the entities that its own passages mention. These
are scored apart (`seen`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Bools
from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.rows import Fact
from kgcorpus.tokens import ensure_tokens
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.statistics import compare
from trainer.masked_lm import open_lm
from trainer.shards import MentionRecord, ShardStream
from trainer.trelm.batches import Packer
from trainer.trelm.builder import Builder
from trainer.trelm.examples import Example, Question
from trainer.trelm.graph import open_graph
from trainer.trelm.guesses import Guesses, is_best
from trainer.trelm.inventory import WordFinder, take_inventory
from trainer.trelm.model import TrelmModel, tensors_of
from trainer.trelm.negatives import Asked, NegativeSampler
from trainer.trelm.run_files import load_extras, read_options
from trainer.trelm.targets import TargetChooser

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPLITS = ("validation", "test")
_PASSAGES_PER_FORWARD = 32
# [tokens, 2]: whether each scored above its negatives, and above the whole vocabulary.
_PASSAGES_AT_ONCE = 1024


def evaluate_cka(model: str, data: str, config: EvaluationConfig) -> dict[str, Any]:
    """`score_cka` as a benchmark: its limit and its first seed are read."""
    return score_cka(model, data, limit=config.limit, seed=config.seeds[0])


def score_cka(
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
        those of other true ends. A model trained without `trelm.logq` scores by log p - log q, q being the
        chance to be drawn as a negative, so log q is added there (`Guesses.log_q`). Each has the shares of
        right tokens with the asked fact injected (`injected`), with nothing (`not_injected`), of the guess by
        frequency in the training passages (`unigram`) and by frequency at this place of the labels of the
        relation's other ends, the asked fact left out (`relation`); `over_unigram`, `over_relation` and
        `over_not_injected` compare the first with the others, passages resampled;
        `not_injected_over_unigram` and `not_injected_over_relation` compare the second. `another_fact`: of
        entities with several facts, with another one injected (`another`), with the one asked for (`same`),
        and their comparison (`over_another`). `seen`, `unseen`: all of this of the facts that training could
        draw for a target, and of the others.

    Raises:
        UsageError: the model cannot be loaded or is none of TRELM.
        InputError: no finished build, or no held-out passage asks for anything.
    """
    corpus, folder = Path(corpus), Path(model)
    options, kge = read_options(folder)
    packed, tokenizer = open_lm(folder)
    hidden = int(packed.lm.config.hidden_size)
    graph = open_graph(corpus, relation_names=options.provider == "shared")
    builder = Builder.of(options, tokenizer, graph, kge=kge, hidden=hidden, seed=seed)
    trelm = builder.model(packed)
    load_extras(folder, trelm)
    trelm.eval().to(packed.table.device)
    files = _token_files(corpus, tokenizer)
    inventory = take_inventory(
        files["train"],
        options,
        words=WordFinder(tokenizer),
        vocabulary=len(tokenizer),
        special_ids=tokenizer.all_special_ids,
    )
    # Models that were trained on other mentions are asked about the same ones.
    same = {"mentions": "important", "inject": "both", "plain_share": 0.0, "injected_fact": "asked"}
    asked = options.model_copy(update=same)
    chooser = replace(builder, options=asked).chooser(min_si=0.0)
    records = _records([file for split in SPLITS for file in files[split]], packed.longest, limit, seed)
    examples = builder.maker(chooser, share=0.0, slots=None).make(records) if records else []
    tokens = _asked(examples)
    if not tokens:
        raise InputError("no held-out passage asks for a fact", where=str(corpus))
    negatives = builder.negatives(inventory.unigrams)
    packer = builder.packer(negatives, memory=None, length=packed.longest, rows=_PASSAGES_PER_FORWARD)
    guesses = builder.guesses(negatives, inventory.unigrams)
    arms = make_arms(examples, records, chooser, seed=seed)
    right = {
        name: _score(trelm, packer, negatives, arm, None if options.logq else guesses)
        for name, arm in vars(arms).items()
    }
    right["unigram"] = _judge((inventory.unigrams for _ in tokens), tokens, negatives)
    right["relation"] = _judge(map(guesses.counts, tokens), tokens, negatives)
    several = _asked(arms.same)
    drawn = drawn_in_training(
        [*tokens, *several], builder, files["train"], length=packed.longest, min_si=inventory.min_si
    )
    all_asked = _Asked(_passages(examples), drawn[: len(tokens)])
    of_several = _Asked(_passages(arms.same), drawn[len(tokens) :])
    return {
        "splits": list(SPLITS),
        "passages": len(records),
        "tokens": len(tokens),
        **{
            level: _summary(
                {name: found[:, i] for name, found in right.items()}, all_asked, of_several, seed=seed
            )
            for i, level in enumerate(("sampled", "vocabulary"))
        },
    }


@dataclass(frozen=True)
class _Asked:
    """Tokens asked for: the passage of each, and whether training could draw its fact."""

    passages: NDArray[Any]
    seen: Bools


# What is compared: the arm, and what it is compared with.
_COMPARED = {
    "over_unigram": ("injected", "unigram"),
    "over_relation": ("injected", "relation"),
    "over_not_injected": ("injected", "not_injected"),
    "not_injected_over_unigram": ("not_injected", "unigram"),
    "not_injected_over_relation": ("not_injected", "relation"),
}


def _summary(right: dict[str, Bools], tokens: _Asked, several: _Asked, *, seed: int) -> dict[str, Any]:
    """Of all tokens, of the seen and of the unseen; `several`: of entities with several facts."""

    def part(all_asked: Bools, of_several: Bools) -> dict[str, Any]:
        found = _shares(right, tokens.passages, all_asked, seed=seed)
        if not found:
            return found
        return {**found, "another_fact": _another_fact(right, several.passages, of_several, seed=seed)}

    found = part(np.ones_like(tokens.seen), np.ones_like(several.seen))
    for name, own, other in (("seen", tokens.seen, several.seen), ("unseen", ~tokens.seen, ~several.seen)):
        found[name] = {"tokens": int(own.sum()), **part(own, other)}
    return found


def _shares(right: dict[str, Bools], passages: NDArray[Any], chosen: Bools, *, seed: int) -> dict[str, Any]:
    """Of the chosen tokens; nothing of none."""
    if not chosen.any():
        return {}
    names = ("injected", "not_injected", "unigram", "relation")
    found = {name: right[name][chosen].tolist() for name in names}
    clusters = passages[chosen].tolist()
    compared = {
        name: compare(found[one], found[other], clusters, seed=seed)
        for name, (one, other) in _COMPARED.items()
    }
    return {**{name: float(np.mean(found[name])) for name in names}, **compared}


def _another_fact(
    right: dict[str, Bools], passages: NDArray[Any], chosen: Bools, *, seed: int
) -> dict[str, Any]:
    """Of the chosen tokens, with another fact of the entity injected and with the one asked for."""
    if not chosen.any():
        return {"tokens": 0}
    another, same = (right[name][chosen] for name in ("another", "same"))
    compared = compare(same.tolist(), another.tolist(), passages[chosen].tolist(), seed=seed)
    means = {"another": float(another.mean()), "same": float(same.mean())}
    return {"tokens": int(chosen.sum()), **means, "over_another": compared}


def _passages(examples: Sequence[Example]) -> NDArray[Any]:
    """[tokens] the passage of each token that is asked for."""
    return np.array([example.name for example in examples for _ in _asked([example])])


@torch.inference_mode()
def _score(
    model: TrelmModel,
    packer: Packer,
    negatives: NegativeSampler,
    examples: Sequence[Example],
    guesses: Guesses | None,
) -> Bools:
    """Whether the model is right about each token; `guesses`: their log q is added over the vocabulary."""
    device = model.packed.table.device
    found = [np.empty((0, 2), bool)]
    for first in range(0, len(examples), _PASSAGES_PER_FORWARD):
        # No more passages than rows: one batch, whose tokens are in the examples' order.
        chunk = examples[first : first + _PASSAGES_PER_FORWARD]
        (batch,) = packer.batches(chunk, step=0, memory_weight=0.0)
        inputs = tensors_of(batch, device)
        states = model.asked_states(model.states(inputs), inputs)
        scores = (states @ model.packed.table.T + model.packed.bias).float().cpu().numpy()
        found.append(_judge(scores, _asked(chunk), negatives, guesses))
    return np.concatenate(found)


def _judge(
    scores: Iterable[NDArray[Any]],
    tokens: Sequence[Asked],
    negatives: NegativeSampler,
    guesses: Guesses | None = None,
) -> Bools:
    """Whether the best-scored candidate is the true one; of equals the first by id is chosen.

    Args:
        scores: of the vocabulary, for each token.
        tokens: asked for.
        negatives: give the candidates of `sampled`.
        guesses: their log q is added to the scores over the vocabulary.
    """
    pool, allowed = negatives.draw(tokens, step=0)
    right = np.zeros((len(tokens), 2), bool)
    for i, (score, token) in enumerate(zip(scores, tokens, strict=True)):
        candidates = np.sort(np.append(pool[allowed[i]], token.label))
        right[i, 0] = candidates[score[candidates].argmax()] == token.label
        right[i, 1] = is_best(score, token, negatives, guesses)
    return right


def _records(files: Sequence[Path], length: int, limit: int | None, seed: int) -> list[MentionRecord]:
    stream: ShardStream[MentionRecord] = ShardStream(files, name="cka", seed=seed, max_length=length)
    return stream.take(min(stream.rows, limit or stream.rows))


def _token_files(corpus: Path, tokenizer: "PreTrainedTokenizerFast") -> dict[str, list[Path]]:
    load_manifest(corpus, required=True).check_pending(corpus, ("trelm",))
    mask = str(tokenizer.mask_token)
    return ensure_tokens(corpus, "trelm", tokenizer.backend_tokenizer, mask_token=mask)


def _asked(examples: Sequence[Example]) -> list[Asked]:
    return [token for example in examples for question in example.questions for token in question.tokens]


@dataclass(frozen=True)
class Arms:
    """Passages, parallel in all arms; the last two hold the questions whose entity has several facts.

    Attributes:
        injected: with the fact that is asked for.
        not_injected: with none.
        another: with another fact of the entity, of another end.
        same: the questions of `another` with the fact that is asked for.
    """

    injected: list[Example]
    not_injected: list[Example]
    another: list[Example]
    same: list[Example]


def make_arms(
    examples: Sequence[Example], records: Sequence[MentionRecord], chooser: TargetChooser, *, seed: int
) -> Arms:
    """Change what is injected into the examples made of the records; `seed`: of the other facts."""
    arms = Arms(list(examples), [], [], [])
    for example, record in zip(examples, records, strict=True):
        others = [_another(question, record, chooser, seed) for question in example.questions]
        pairs = [(q, other) for q, other in zip(example.questions, others, strict=True) if other]
        arms.not_injected.append(replace(example, questions=[_inject(q, None) for q in example.questions]))
        arms.another.append(replace(example, questions=[_inject(q, other) for q, other in pairs]))
        arms.same.append(replace(example, questions=[q for q, _ in pairs]))
    return arms


def _another(question: Question, record: MentionRecord, chooser: TargetChooser, seed: int) -> Fact | None:
    target = question.target
    mention = next(m for m in record.mentions if (m["start"], m["end"]) == (target.start, target.end))
    others = [fact for fact in chooser.facts(record, mention) if fact["other"] != target.asked["other"]]
    return Draw(seed, "cka-another", record.id, target.start).choice(others) if others else None


def _inject(question: Question, fact: Fact | None) -> Question:
    return replace(question, target=replace(question.target, injected=fact))


def drawn_in_training(
    tokens: Sequence[Asked], builder: Builder, files: Sequence[Path], *, length: int, min_si: float
) -> Bools:
    """[tokens] whether some training passage has a target that the same fact could be drawn for.

    Args:
        tokens: asked for.
        builder: of the model, with its own options; of random mentions every mention counts as a target.
        files: of the training split.
        length: tokens that are read of a passage.
        min_si: the least importance of a target.

    Raises:
        InputError: a file is damaged.
    """
    options = builder.options
    if options.mentions == "random":
        options = options.model_copy(update={"mentions": "all"})
    chooser = replace(builder, options=options).chooser(min_si=min_si)
    asked = {_key(token.qid, token.fact) for token in tokens}
    drawable: set[Any] = set()
    stream: ShardStream[MentionRecord] = ShardStream(files, name="cka", seed=0, max_length=length)
    for first in range(0, stream.rows, _PASSAGES_AT_ONCE):
        for record in stream.take(min(_PASSAGES_AT_ONCE, stream.rows - first)):
            drawable.update(asked.intersection(_key(*found) for found in chooser.drawable(record)))
    return np.array([_key(token.qid, token.fact) in drawable for token in tokens], bool)


def _key(qid: str, fact: Fact) -> tuple[str, ...]:
    return qid, fact["r"], fact["direction"], fact["other"]
