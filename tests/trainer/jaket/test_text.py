import numpy as np
import pytest

from trainer.jaket.text import draw_removed, link, prepare


@pytest.fixture
def seen(entities):
    return np.ones(len(entities), bool)


def prepared(records, mentions, removed, vocabulary, *, mlm=0.15):
    return prepare(records, mentions, removed, vocabulary, mlm_probability=mlm, length=64, seed=0)


def tokens_of(text, records):
    """Each record's ids as the model reads them, by its own place in the packed rows."""
    ids, segments = text.inputs["ids"], text.inputs["segments"]
    found = [
        ids[row][segments[row] == s] for row in range(len(ids)) for s in range(1, segments[row].max() + 1)
    ]
    assert len(found) == len(records)
    return found


def test_mentions_are_those_of_seen_entities(records, entities, seen):
    everything = link(records, entities, seen=seen, seed=0)
    assert len(everything.entity) == sum(len(record.mentions) for record in records)
    for i, entity in enumerate(everything.entity):
        span = {"start": everything.first[i], "end": everything.last[i] + 1}
        qid = entities.qids[entity].decode()
        assert any(
            m["qid"] == qid and span.items() <= m.items() for m in records[everything.record[i]].mentions
        )
    seen[:30] = False
    half = link(records, entities, seen=seen, seed=0)
    assert (half.entity >= 30).all()
    assert set(half.keys) < set(everything.keys)


def test_a_removed_mention_is_masked_and_its_entity_is_merged_nowhere_in_the_passage(
    records, entities, seen, vocabulary
):
    mentions = link(records, entities, seen=seen, seed=0)
    removed = draw_removed(mentions, 0.3)
    assert 0.2 < removed.mean() < 0.4
    text = prepared(records, mentions, removed, vocabulary)
    ids, flat = text.inputs["ids"].ravel(), text.inputs["places"]
    for first, last in zip(text.inputs["first_places"], text.inputs["last_places"], strict=True):
        assert (ids[first : last + 1] == vocabulary.mask).all()
        assert not set(range(first, last + 1)) & set(text.inputs["token_places"])
        assert not set(range(first, last + 1)) & set(flat)
    assert len(flat) == len(set(flat)) == len(text.merged)
    # By hand: a passage names its last entity twice at least.
    whole = prepared(records, mentions, np.zeros_like(removed), vocabulary)
    gone = {(int(mentions.record[i]), int(mentions.entity[i])) for i in np.flatnonzero(removed)}
    kept = [i for i in range(len(removed)) if (int(mentions.record[i]), int(mentions.entity[i])) not in gone]
    assert len(kept) < (~removed).sum()
    sizes = mentions.last - mentions.first + 1
    assert len(flat) == sizes[kept].sum() < len(whole.merged) == sizes.sum()


def test_predicted_tokens_have_their_labels(records, entities, seen, vocabulary):
    mentions = link(records, entities, seen=seen, seed=0)
    nothing = np.zeros(len(mentions.entity), bool)
    clean = prepared(records, mentions, nothing, vocabulary, mlm=0)
    text = prepared(records, mentions, nothing, vocabulary)
    assert len(clean.inputs["token_places"]) == 0
    original = clean.inputs["ids"].ravel()
    assert (original[text.inputs["token_places"]] == text.inputs["token_labels"]).all()
    changed = np.flatnonzero(original != text.inputs["ids"].ravel())
    assert set(changed) <= set(text.inputs["token_places"])
    assert sorted(map(len, tokens_of(text, records))) == sorted(len(record.ids) for record in records)


def test_draws_do_not_depend_on_the_batch(records, entities, seen):
    whole = link(records, entities, seen=seen, seed=0)
    part = link(records[10:13], entities, seen=seen, seed=0)
    inside = (whole.record >= 10) & (whole.record < 13)
    assert (draw_removed(whole, 0.3)[inside] == draw_removed(part, 0.3)).all()
    other = link(records, entities, seen=seen, seed=1)
    assert (draw_removed(whole, 0.3) != draw_removed(other, 0.3)).any()


def test_passages_without_mentions_are_read(records, entities, seen, vocabulary):
    seen[:] = False
    mentions = link(records, entities, seen=seen, seed=0)
    text = prepared(records, mentions, draw_removed(mentions, 0.5), vocabulary)
    assert len(text.merged) == len(text.inputs["places"]) == len(text.removed.entity) == 0
