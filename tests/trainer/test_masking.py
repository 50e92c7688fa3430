from collections import Counter
from math import sqrt

import numpy as np
import pytest

from trainer.kmlm.masking import mask_cycles
from trainer.masking import Vocabulary, mask_share
from trainer.shards import Record

CLS, SEP, MASK, PAD, SIZE = 0, 1, 2, 3, 1000
VOCABULARY = Vocabulary.of(size=SIZE, mask=MASK, pad=PAD, special_ids=[CLS, SEP, MASK, PAD])
N = 4000


def record_of(name, kind, sentences, *, per_slot=2, epoch=0):
    """Sentences `h <mask> r <mask> t .`, each item of `per_slot` tokens; 9 stands for the full stop."""
    ids, slot, sentence = [CLS], [0], [-1]
    for s in range(sentences):
        for k in (1, 2, 3):
            ids += [100 + s * 10 + k] * per_slot + [MASK if k < 3 else 9]
            slot += [k] * per_slot + [0]
            sentence += [s] * per_slot + [-1]
    arrays = (
        np.array([*ids, SEP], np.int32),
        np.array([*slot, 0], np.int8),
        np.array([*sentence, -1], np.int16),
    )
    return Record(name, kind, *arrays, epoch)


def split(masked, records):
    """(ids, labels, predicted) of each record."""
    ends = np.cumsum([len(record.ids) for record in records])[:-1]
    parts = (np.split(x, ends) for x in (masked.ids, masked.labels, masked.predicted))
    return zip(records, *parts, strict=True)


def near(count, n, p):
    return abs(count - n * p) < 4.5 * sqrt(n * p * (1 - p))


def share(records, *, slots_only, seed=0, stream="s"):
    return mask_share(records, VOCABULARY, share=0.15, slots_only=slots_only, seed=seed, stream=stream)


@pytest.mark.parametrize("slots_only", [False, True])
def test_a_share_of_the_tokens_is_predicted_and_80_10_10_replaced(slots_only):
    records = [record_of(f"r{i}", "code_switched", 1) for i in range(N)]
    masked = share(records, slots_only=slots_only)
    slot = np.concatenate([record.slot for record in records])
    special = VOCABULARY.special[masked.labels]
    allowed = (slot > 0) if slots_only else ~special
    assert not (masked.predicted & ~allowed).any()
    assert (masked.ids == masked.labels)[~masked.predicted].all()
    n = int(masked.predicted.sum())
    assert near(n, int(allowed.sum()), 0.15)
    hidden = masked.ids[masked.predicted]
    assert near(int((hidden == MASK).sum()), n, 0.8)
    # One draw in 996 gives the same token again.
    assert near(int((hidden == masked.labels[masked.predicted]).sum()), n, 0.1 + 0.1 / 996)
    assert not VOCABULARY.special[hidden[hidden != MASK]].any()


def test_links_stay_and_are_never_predicted():
    records = [record_of(f"r{i}", "code_switched", 1) for i in range(N)]
    links = np.concatenate([record.ids for record in records]) == MASK
    for masked in (share(records, slots_only=True), share(records, slots_only=False)):
        assert (masked.ids[links] == MASK).all()
        assert not masked.predicted[links].any()
    cycles = [record._replace(kind="cycle3") for record in records]
    assert not mask_cycles(cycles, VOCABULARY, seed=0, stream="s").predicted[links].any()


def test_of_three_sentences_exactly_one_relation_is_hidden_whole():
    records = [record_of(f"r{i}", "cycle3", 3) for i in range(N)]
    chosen = Counter()
    for record, ids, labels, predicted in split(
        mask_cycles(records, VOCABULARY, seed=0, stream="s"), records
    ):
        assert set(record.slot[predicted]) == {2}
        (s,) = set(record.sentence[predicted].tolist())
        assert predicted.sum() == 2
        assert (ids[predicted] == MASK).all()
        assert (ids[~predicted] == labels[~predicted]).all()
        chosen[s] += 1
    assert all(near(chosen[s], N, 1 / 3) for s in range(3))


def test_of_five_sentences_a_relation_and_entities_or_a_sentence_s_entities_are_hidden():
    records = [record_of(f"r{i}", "cycle4", 5) for i in range(N)]
    kinds, mentions, relations, sentences = Counter(), Counter(), Counter(), Counter()
    for record, ids, labels, predicted in split(
        mask_cycles(records, VOCABULARY, seed=0, stream="s"), records
    ):
        assert (ids[predicted] == MASK).all()
        assert (ids[~predicted] == labels[~predicted]).all()
        found = set(zip(record.sentence[predicted].tolist(), record.slot[predicted].tolist(), strict=True))
        assert predicted.sum() == 2 * len(found)
        hidden_relations = [s for s, k in found if k == 2]
        entities = sorted((s, k) for s, k in found if k != 2)
        if hidden_relations:
            assert len(hidden_relations) == 1
            kinds[len(entities)] += 1
            relations.update(hidden_relations)
            mentions.update(entities)
        else:
            (s, _), (other, _) = entities
            assert s == other
            kinds["sentence"] += 1
            sentences[s] += 1
    assert set(kinds) == {1, 2, "sentence"}
    assert near(kinds[1], N, 0.4)
    assert near(kinds[2], N, 0.4)
    assert near(kinds["sentence"], N, 0.2)
    assert all(near(relations[s], N, 0.8 / 5) for s in range(5))
    assert all(near(sentences[s], N, 0.2 / 5) for s in range(5))
    assert len(mentions) == 10
    assert all(near(n, N, 0.8 * 0.15) for n in mentions.values())


def test_what_has_no_tokens_is_not_chosen_and_nothing_gives_no_labels():
    empty = record_of("e", "cycle3", 3, per_slot=0)
    assert not mask_cycles([empty], VOCABULARY, seed=0, stream="s").predicted.any()
    assert not share([empty], slots_only=True).predicted.any()
    assert not share([], slots_only=True).predicted.any()
    assert not mask_cycles([], VOCABULARY, seed=0, stream="s").predicted.any()


def test_an_unknown_piece_of_a_hidden_label_is_masked_but_not_predicted():
    record = record_of("r", "cycle3", 1)
    record.ids[record.slot == 2] = [CLS, 500]
    masked = mask_cycles([record], VOCABULARY, seed=0, stream="s")
    assert masked.labels[masked.predicted].tolist() == [500]
    assert (masked.ids[record.slot == 2] == MASK).all()


@pytest.mark.parametrize("rule", ["share", "cycles"])
def test_draws_depend_on_the_record_alone(rule):
    def mask(records, seed=0, stream="s"):
        if rule == "share":
            masked = share(records, slots_only=False, seed=seed, stream=stream)
        else:
            masked = mask_cycles(records, VOCABULARY, seed=seed, stream=stream)
        return {record.id: ids.tolist() for record, ids, _, _ in split(masked, records)}

    records = [record_of(f"r{i}", "cycle4", 5) for i in range(50)]
    found = mask(records)
    assert mask(records[::-1]) == found
    assert mask(records[7:8]) == {"r7": found["r7"]}
    assert mask(records, seed=1) != found
    assert mask(records, stream="t") != found
    assert mask([record._replace(epoch=1) for record in records]) != found
