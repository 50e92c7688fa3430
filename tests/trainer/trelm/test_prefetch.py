"""A step's batches are made beside the step before, and are those of a reader that makes them when asked."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.trelm.brute_force import BruteForce
from tests.trainer.trelm.made import config_of, filled, make, objective_of, options_of
from tests.trainer.trelm.world import triples_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def assert_equal(batches, expected):
    assert len(batches) == len(expected)
    for one, other in zip(batches, expected, strict=True):
        assert (one.records, one.tokens, one.counts.tolist()) == (
            other.records,
            other.tokens,
            other.counts.tolist(),
        )
        assert one.inputs.keys() == other.inputs.keys()
        for name, array in one.inputs.items():
            np.testing.assert_array_equal(array, other.inputs[name])
            assert array.dtype == other.inputs[name].dtype


@pytest.mark.parametrize("rows", [2, 500])
def test_batches_made_ahead_are_those_made_when_asked(made, rows):
    """The memory too, which the step before writes."""
    config = config_of(trelm=options_of(logq=True), rows_per_forward=rows)
    ahead = filled(objective_of(made, config))
    plain = objective_of(made, config)
    plain._memory.load(dict(ahead._memory.collect()))
    plain._stream.load_state(ahead.state()["stream"])
    for step in (2, 3):
        examples = plain._maker.make(plain._stream.take(config.records_per_step))
        weight = plain._memory_weight(step)
        assert weight > 0
        expected = plain._packer.batches(examples, step=step, memory_weight=weight)
        assert sum(len(batch.inputs["read_rows"]) for batch in expected)
        ahead._prefetcher.peek(step)
        assert_equal(ahead.next_step(step), expected)


def test_a_step_s_negatives_are_those_of_a_brute_force_sampler(made):
    objective = objective_of(made, config_of(seed=3))
    labels = made.graph.entity_tokens(made.tokenizer.backend_tokenizer)
    unigrams = np.bincount(
        [i for file in made.files for i in _ids(file)], minlength=len(made.tokenizer)
    ) * ~np.isin(np.arange(len(made.tokenizer)), made.tokenizer.all_special_ids)
    oracle = BruteForce(triples_of(), labels.of, unigrams, count=64, seed=3)
    for step in range(3):
        examples = {example.name: example for example in objective._prefetcher.peek(step).examples}
        (batch,) = objective.next_step(step)
        tokens = [t for name in batch.records for q in examples[name].questions for t in q.tokens]
        assert [token.label for token in tokens] == batch.inputs["asked_labels"].tolist()
        pool = batch.inputs["pool"]
        found = [set(pool[own].tolist()) for own in batch.inputs["allowed"]]
        assert found == [oracle.own(token, step) for token in tokens]
        assert tokens


def _ids(file):
    return [i for row in pq.read_table(file, columns=["ids"])["ids"].to_pylist() for i in row]


def test_a_second_start_neither_tokenises_labels_nor_counts_the_records_again(made, monkeypatch):
    first = objective_of(made, config_of())
    for name in ("trainer.trelm.graph._tokenized", "trainer.trelm.inventory._read"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("was made again"))
    assert_equal(objective_of(made, config_of()).next_step(0), first.next_step(0))
    with pytest.raises(pytest.fail.Exception, match="was made again"):
        objective_of(made, config_of(trelm=options_of(min_si=0.5)))
