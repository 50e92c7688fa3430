import json
import shutil
from collections import Counter

import numpy as np
import pytest

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import rows_of, write_corpus
from tests.trainer.trelm.world import LABELS, triples_of, write_vectors, write_world
from trainer.config import ModelConfig, RoutingConfig, TrainingConfig, TrelmConfig
from trainer.evaluate.builds import cka
from trainer.evaluate.builds.cka_arms import make_arms
from trainer.models import open_lm
from trainer.run import train
from trainer.shards import ShardStream
from trainer.trelm.extras import read_options
from trainer.trelm.facts import open_graph
from trainer.trelm.parts import Parts


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
    return cka.evaluate(run / "model", world)


def test_what_is_injected_is_found_and_another_fact_misleads(result):
    for level in ("sampled", "vocabulary"):
        found = result[level]
        assert found["injected"] > max(found["unigram"], found["relation"], found["not_injected"]) + 0.1
        another = found["another_fact"]
        assert 0 < another["tokens"] <= result["tokens"]
        assert another["another"] < another["same"] - 0.1
        assert found["over_relation"]["accuracy"] == pytest.approx(found["injected"])
        assert found["over_relation"]["baseline"] == pytest.approx(found["relation"])
        assert found["over_relation"]["interval"][0] > 0
    assert result["vocabulary"]["injected"] <= result["sampled"]["injected"]
    assert result["passages"] == 40


def test_the_same_call_gives_the_same_numbers(run, world, result):
    assert cka.evaluate(run / "model", world) == result
    assert cka.evaluate(run / "model", world, limit=10)["passages"] == 10


def test_models_trained_on_other_mentions_are_asked_the_same(run, world, result, tmp_path):
    other = tmp_path / "model"
    shutil.copytree(run / "model", other)
    kept = json.loads((other / "trelm.json").read_text())
    kept["options"] |= {"mentions": "all", "inject": "longtail", "min_si": 0.5}
    kept["kge"] = str(read_options(run / "model")[1])
    (other / "trelm.json").write_text(json.dumps(kept))
    assert cka.evaluate(other, world) == result


@pytest.fixture(scope="module")
def asked(run, world):
    """The held-out questions, made as the evaluation makes them."""
    options, kge = read_options(run / "model")
    _, tokenizer = open_lm(run / "model")
    parts = Parts.of(options, tokenizer, open_graph(world, relation_names=False), kge=kge, hidden=32, seed=0)
    files = ensure_tokens(world, "trelm", tokenizer.backend_tokenizer, mask_token="[MASK]")["test"]
    stream = ShardStream(files, name="cka", seed=0, max_length=128)
    chooser = parts.chooser(min_si=0.0)
    records = stream.take(stream.rows)
    examples = parts.maker(chooser, share=0.0, slots=None).make(records)
    return examples, make_arms(examples, records, chooser, seed=0), parts


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


def test_the_guess_by_relation_is_the_most_frequent_token_of_its_ends(asked, result):
    """Counted anew from the triples."""
    examples, _, parts = asked
    right = []
    for token in (t for e in examples for q in e.questions for t in q.tokens):
        side = 2 if token.fact["direction"] == "tail" else 0
        ends = [triple[side] for triple in triples_of() if triple[1] == token.fact["r"]]
        labels = [parts.labels.of(end) for end in ends]
        counts = Counter(label[token.place] for label in labels if len(label) > token.place)
        given = [
            triple[side]
            for triple in triples_of()
            if triple[1] == token.fact["r"] and triple[2 - side] == token.qid
        ]
        truths = {t for end in given if end != token.fact["other"] for t in parts.labels.of(end)}
        best = min((t for t in counts if t == token.label or t not in truths), key=lambda t: (-counts[t], t))
        right.append(best == token.label)
    assert result["vocabulary"]["relation"] == pytest.approx(np.mean(right))
    assert set(LABELS) >= {q.target.qid for e in examples for q in e.questions}


def test_wrong_models_and_corpora_are_told(run, tmp_path):
    with pytest.raises(UsageError, match="train trelm"):
        cka.evaluate(tmp_path, tmp_path)
    with pytest.raises(InputError, match="no finished build"):
        cka.evaluate(run / "model", tmp_path)
    corpus = write_corpus(tmp_path / "other", {"plain_text": rows_of(4)["plain_text"]})
    with pytest.raises(InputError, match="no table triples"):
        cka.evaluate(run / "model", corpus)
