import json
import math
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import rows_of, write_corpus
from tests.trainer.trelm.made import tensors_of
from tests.trainer.trelm.world import LABELS, passages_of, triples_of, write_vectors, write_world
from trainer.config import ModelConfig, TrainingConfig
from trainer.masked_lm import open_lm
from trainer.run import train
from trainer.shards import ShardStream
from trainer.trelm.builder import Builder
from trainer.trelm.config import RoutingConfig, TrelmConfig
from trainer.trelm.evaluate import cka
from trainer.trelm.evaluate.cka import make_arms
from trainer.trelm.graph import open_graph
from trainer.trelm.guesses import Guesses
from trainer.trelm.inputs import TrelmInputs
from trainer.trelm.negatives import NegativeSampler
from trainer.trelm.run_files import load_extras, read_options

LEVELS = ("sampled", "vocabulary")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), train=80, held_out=40)


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    """A run long enough that what is injected is used."""
    out = tmp_path_factory.mktemp("run")
    kge = write_vectors(tmp_path_factory.mktemp("kge"), dim=24)
    trelm = TrelmConfig(
        kge=str(kge), inject="both", theta=0.1, routing=RoutingConfig(mode="none"), memory={"enabled": False}
    )
    config = TrainingConfig(
        model=ModelConfig(hidden=32, layers=1, heads=2, vocab_size=340),
        schedule_steps=60,
        records_per_step=40,
        lr=1e-2,
        trelm=trelm,
    )
    train("trelm", corpus=world, out=out, config=config)
    return out


@pytest.fixture(scope="module")
def result(run, world):
    return cka.score_cka(run / "model", world)


def test_what_is_injected_is_found_and_another_fact_misleads(result):
    for level in LEVELS:
        found = result[level]
        assert found["injected"] > max(found["unigram"], found["relation"], found["not_injected"]) + 0.1
        another = found["another_fact"]
        assert 0 < another["tokens"] <= result["tokens"]
        assert another["another"] < another["same"] - 0.1
        assert found["over_relation"]["accuracy"] == pytest.approx(found["injected"])
        assert found["over_relation"]["baseline"] == pytest.approx(found["relation"])
        assert found["over_relation"]["interval"][0] > 0
        assert another["over_another"]["difference"] == pytest.approx(another["same"] - another["another"])
        assert another["over_another"]["interval"][0] > 0
        assert found["over_not_injected"]["interval"][0] > 0
        alone = found["not_injected_over_relation"]
        assert alone["difference"] == pytest.approx(found["not_injected"] - found["relation"])
        assert alone["interval"][0] < alone["difference"] < alone["interval"][1]
        assert found["not_injected_over_unigram"]["baseline"] == pytest.approx(found["unigram"])
    assert result["vocabulary"]["injected"] <= result["sampled"]["injected"]
    assert result["passages"] == 40


def test_the_same_call_gives_the_same_numbers(run, world, result):
    assert cka.score_cka(run / "model", world) == result
    assert cka.score_cka(run / "model", world, limit=10)["passages"] == 10


def changed(run, target, **options):
    """A copy of the model that says it was trained with other options."""
    shutil.copytree(run / "model", target, ignore=shutil.ignore_patterns("state.json"))
    kept = json.loads((target / "trelm.json").read_text())
    kept["options"] |= options
    kept["kge"] = str(read_options(run / "model")[1])
    (target / "trelm.json").write_text(json.dumps(kept))
    return target


def without_seen(result):
    return {
        name: {key: part[key] for key in part if not key.endswith("seen")} if name in LEVELS else part
        for name, part in result.items()
    }


def test_models_trained_on_other_mentions_are_asked_the_same(run, world, result, asked, tmp_path):
    other = changed(run, tmp_path / "model", mentions="all", inject="longtail", min_si=0.5)
    found = cka.score_cka(other, world)
    assert without_seen(found) == without_seen(result)
    # Drawn in training: the facts of long-tail entities in passages where they are in the upper half by SI.
    mentions = [mention for row in passages_of(80) for mention in row["mentions"]]
    least = np.quantile(np.array([mention["si"] for mention in mentions], np.float32), 0.5)
    drawable = {
        (m["qid"], tuple(sorted(fact.items())))
        for m in mentions
        if m["long_tail"] and m["si"] >= least
        for fact in m["triples"]
    }
    tokens = [t for example in asked[0] for q in example.questions for t in q.tokens]
    seen = sum((t.qid, tuple(sorted(t.fact.items()))) in drawable for t in tokens)
    assert 20 < seen < len(tokens) - 20
    for level in LEVELS:
        parts = found[level]["seen"], found[level]["unseen"]
        assert [part["tokens"] for part in parts] == [seen, len(tokens) - seen]
        for arm in ("injected", "not_injected", "unigram", "relation"):
            right = sum(part["tokens"] * part[arm] for part in parts)
            assert right == pytest.approx(len(tokens) * found[level][arm])
        assert parts[0]["over_relation"]["accuracy"] == parts[0]["injected"]
        others, whole = [part["another_fact"] for part in parts], found[level]["another_fact"]
        assert sum(part["tokens"] for part in others) == whole["tokens"]
        for arm in ("another", "same"):
            right = sum(part["tokens"] * part[arm] for part in others)
            assert right == pytest.approx(whole["tokens"] * whole[arm])


def test_of_a_model_that_saw_every_fact_none_is_unseen(result):
    for level in LEVELS:
        assert result[level]["seen"]["tokens"] == result["tokens"]
        assert result[level]["unseen"] == {"tokens": 0}


@pytest.fixture(scope="module")
def asked(run, world):
    """The held-out questions, made as the evaluation makes them."""
    options, kge = read_options(run / "model")
    _, tokenizer = open_lm(run / "model")
    graph = open_graph(world, relation_names=False)
    builder = Builder.of(options, tokenizer, graph, kge=kge, hidden=32, seed=0)
    files = ensure_tokens(world, "trelm", tokenizer.backend_tokenizer, mask_token="[MASK]")["test"]
    stream = ShardStream(files, name="cka", seed=0, max_length=128)
    chooser = builder.chooser(min_si=0.0)
    records = stream.take(stream.rows)
    examples = builder.maker(chooser, share=0.0, slots=None).make(records)
    return examples, make_arms(examples, records, chooser, seed=0), builder


def test_nothing_is_masked_and_the_arms_ask_the_same(asked, result):
    examples, arms, _ = asked
    assert not any(example.predicted.any() for example in examples)
    assert sum(len(q.tokens) for e in examples for q in e.questions) == result["tokens"]
    several = 0
    for arm in zip(*vars(arms).values(), strict=True):
        injected, not_injected, another, same = (example.questions for example in arm)
        assert [q.tokens for q in injected] == [q.tokens for q in not_injected]
        assert all(q.target.injected is None for q in not_injected)
        assert [q.tokens for q in another] == [q.tokens for q in same]
        for q in another:
            assert q.target.injected["other"] != q.target.asked["other"]
        several += len(another)
    assert several


TRIPLES = triples_of()


def counts_of(builder, token):
    """Facts of the relation by the token at this place of their end, the asked fact left out."""
    side = 2 if token.fact["direction"] == "tail" else 0
    asked = {side: token.fact["other"], 2 - side: token.qid, 1: token.fact["r"]}
    facts = [x for x in TRIPLES if x[1] == token.fact["r"] and dict(enumerate(x)) != asked]
    labels = [builder.labels.of(fact[side]) for fact in facts]
    return Counter(label[token.place] for label in labels if len(label) > token.place), len(facts)


def other_truths(builder, token):
    side = 2 if token.fact["direction"] == "tail" else 0
    ends = {
        x[side]
        for x in TRIPLES
        if x[1] == token.fact["r"] and x[2 - side] == token.qid and x[side] != token.fact["other"]
    }
    return {t for end in ends for t in builder.labels.of(end)} - {token.label}


def test_the_guess_by_relation_is_the_most_frequent_token_of_its_other_facts(asked, result):
    """Counted a second time from the triples."""
    examples, _, builder = asked
    right = []
    for token in (t for e in examples for q in e.questions for t in q.tokens):
        counts, _ = counts_of(builder, token)
        possible = sorted(set(range(340)) - other_truths(builder, token))
        best = min(possible, key=lambda t: (-counts[t], t))
        right.append(best == token.label)
    assert result["vocabulary"]["relation"] == pytest.approx(np.mean(right))
    assert set(LABELS) >= {q.target.qid for e in examples for q in e.questions}


def smallest(total, wanted, most):
    """Where an increasing total reaches what is wanted."""
    low, high = 0.0, most
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) < wanted else (low, middle)
    return high


def log_q(builder, token, unigrams, k):
    """log of the chance to be drawn, by the formula of `Guesses.log_q`, token by token."""
    counts, facts = counts_of(builder, token)
    forbidden = other_truths(builder, token)
    whole = {t: n for t, n in (counts + Counter([token.label])).items() if t not in forbidden}
    # 5 decades beyond the last arrival are as good as no bound.
    most = 4 * k / (facts + 1) if facts + 1 > 4 * k else 1e5
    x = smallest(lambda x: sum(1 - math.exp(-n * x) for n in whole.values()), k // 2, most)
    total = sum(n**0.75 for n in unigrams)
    shares = {t: n**0.75 / total for t, n in enumerate(unigrams) if t not in forbidden}
    free = {t: math.exp(-whole.get(t, 0) * x) for t in shares}
    rest = k - sum(1 - math.exp(-n * x) for n in whole.values())
    y = smallest(lambda y: sum(free[t] * (1 - math.exp(-s * y)) for t, s in shares.items()), rest, 4 * k)
    drawn = {t: 1 - math.exp(-counts[t] * x - s * y) for t, s in shares.items()}
    return np.array([math.log(drawn[t]) if drawn.get(t) else -np.inf for t in range(len(unigrams))])


@pytest.fixture(scope="module")
def scores(run, asked):
    """The scores of the asked tokens over the vocabulary with nothing injected, one passage at a time."""
    examples, arms, builder = asked
    packed, tokenizer = open_lm(run / "model")
    model = builder.model(packed)
    load_extras(run / "model", model)
    model.eval()
    unigrams = np.bincount(
        [i for row in passages_of(80) for i in tokenizer(row["text"], add_special_tokens=False)["input_ids"]],
        minlength=len(tokenizer),
    )
    packer = builder.packer(builder.negatives(unigrams), memory=None, length=128, rows=1)
    rows = []
    for example in arms.not_injected:
        for batch in packer.batches([example], step=0, memory_weight=0.0):
            inputs = TrelmInputs.of(tensors_of(batch))
            with torch.no_grad():
                states = model.asked_states(model.states(inputs), inputs)
            rows.append((states @ packed.table.T + packed.bias).detach().numpy())
    tokens = [token for example in examples for question in example.questions for token in question.tokens]
    return tokens, np.concatenate(rows), unigrams


def share_of_best(builder, tokens, scores):
    right = []
    for token, row in zip(tokens, scores, strict=True):
        possible = row.astype(np.float64)
        possible[list(other_truths(builder, token))] = -np.inf
        right.append(possible.argmax() == token.label)
    return np.mean(right)


def test_the_vocabulary_is_ranked_by_the_score_plus_log_q(run, world, asked, scores, result, tmp_path):
    builder, (tokens, rows, unigrams) = asked[2], scores
    k = builder.options.negatives
    added = [row + log_q(builder, token, unigrams, k) for token, row in zip(tokens, rows, strict=True)]
    expected = share_of_best(builder, tokens, added)
    plain = share_of_best(builder, tokens, rows)
    assert expected != plain
    assert result["vocabulary"]["not_injected"] == pytest.approx(expected)
    # Training with the correction has taken log q off already.
    corrected = cka.score_cka(changed(run, tmp_path / "model", logq=True), world)
    assert corrected["vocabulary"]["not_injected"] == pytest.approx(plain)
    assert corrected["sampled"] == result["sampled"]


@pytest.mark.parametrize("count", [16, 40])
def test_log_q_is_how_often_the_sampler_draws_a_token(asked, scores, count):
    """Against the sampler itself; the label is never drawn, so that it takes no other token's place."""
    builder, (tokens, _, unigrams) = asked[2], scores
    facts, steps = builder.graph.facts, 200
    sampler = NegativeSampler(facts, builder.labels, unigrams, count=count, seed=5)
    guesses = Guesses(facts, builder.labels, sampler, unigrams, count=count)
    questions = {(t.fact["r"], t.fact["direction"]): t for t in tokens if t.place == 1}
    assert len(questions) > 4
    for asked_token in questions.values():
        token, others = replace(asked_token, label=0), np.arange(len(unigrams)) != asked_token.label
        times = np.zeros(len(unigrams))
        for step in range(steps):
            pool, allowed = sampler.draw([token], step=step)
            times[pool[allowed[0]]] += 1
        found, expected = times / steps, np.exp(guesses.log_q(token))
        # Four standard deviations of a share of 200 draws.
        np.testing.assert_allclose(found[others], expected[others], atol=0.14)
        assert np.corrcoef(found[others], expected[others])[0, 1] > 0.99


def test_passages_that_a_build_has_not_come_to_are_refused(run, world, tmp_path):
    corpus = shutil.copytree(world, tmp_path / "corpus")
    manifest = load_manifest(corpus)
    manifest.pending = frozenset({"trelm"})
    manifest.save(corpus)
    with pytest.raises(InputError, match="stopped before finishing trelm"):
        cka.score_cka(run / "model", corpus)


def test_wrong_models_and_corpora_are_told(run, tmp_path):
    with pytest.raises(UsageError, match="train trelm"):
        cka.score_cka(tmp_path, tmp_path)
    with pytest.raises(InputError, match="no finished build"):
        cka.score_cka(run / "model", tmp_path)
    corpus = write_corpus(tmp_path / "other", {"plain_text": rows_of(4)["plain_text"]})
    with pytest.raises(InputError, match="no table triples"):
        cka.score_cka(run / "model", corpus)
