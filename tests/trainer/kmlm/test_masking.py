"""K1 to K4 and K6 written a second time: what `train kmlm` predicts, record by record."""

from collections import Counter
from math import sqrt

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.kmlm.test_objective import config_of
from trainer.kmlm.config import KmlmConfig
from trainer.kmlm.objective import Kmlm

STEPS = 40


@pytest.fixture(scope="module")
def written(files):
    """Record -> its row in the token files."""
    return {
        row["id"]: row
        for paths in files.values()
        for path in paths
        for row in pq.read_table(path).to_pylist()
    }


def seen(files, tokenizer, **options):
    """(the step's records, what the model reads, what is predicted, the tokens before) of many steps."""
    objective = Kmlm(
        config_of(kmlm=KmlmConfig(**options), rows_per_forward=500), files=files, tokenizer=tokenizer
    )
    for step in range(STEPS):
        (batch,) = objective.next_step(step)
        arrays = batch.inputs
        ids, segments = arrays["ids"], arrays["segments"]
        labels = np.full(ids.size, -1)
        labels[arrays["where"]] = arrays["labels"]
        labels = labels.reshape(ids.shape)
        for row in range(len(ids)):
            for segment in range(1, segments[row].max() + 1):
                own = segments[row] == segment
                original = np.where(labels[row][own] >= 0, labels[row][own], ids[row][own])
                yield batch.records, ids[row][own], labels[row][own] >= 0, original


def matched(found, written):
    """The same with the row of each record, which is found by its tokens: a batch's rows have no names."""
    for names, ids, predicted, original in found:
        candidates = [
            written[name]
            for name in names
            if len(written[name]["ids"]) == len(ids) and (np.array(written[name]["ids"]) == original).all()
        ]
        assert candidates
        yield candidates[0], ids, predicted


def near(count, n, p):
    return abs(count - n * p) < 4.5 * sqrt(n * p * (1 - p))


def test_each_stream_is_masked_by_its_rule(files, tokenizer, written):
    special = set(tokenizer.all_special_ids)
    places, chosen, fates, kinds = Counter(), Counter(), Counter(), Counter()
    for (
        row,
        ids,
        predicted,
    ) in matched(seen(files, tokenizer), written):
        original, kind = np.array(row["ids"]), row.get("kind", "plain")
        slot, sentence = (np.array(row.get(name) or [0] * len(ids)) for name in ("slot", "sentence"))
        if kind in ("plain", "code_switched"):
            allowed = (
                (slot > 0) if kind == "code_switched" else np.array([i not in special for i in original])
            )
            assert not (predicted & ~allowed).any()
            assert (ids == original)[~predicted].all()
            places[kind] += int(allowed.sum())
            chosen[kind] += int(predicted.sum())
            hidden, kept = ids[predicted] == tokenizer.mask_token_id, ids[predicted] == original[predicted]
            fates["mask"] += int(hidden.sum())
            fates["same"] += int(kept.sum())
            continue
        assert (ids[predicted] == tokenizer.mask_token_id).all()
        assert (ids == original)[~predicted].all()
        hidden = set(zip(sentence[predicted].tolist(), slot[predicted].tolist(), strict=True))
        for s, k in hidden:
            assert predicted[(sentence == s) & (slot == k)].all()
        relations = [s for s, k in hidden if k == 2]
        entities = sorted((s, k) for s, k in hidden if k != 2)
        if kind == "cycle3":
            assert (len(relations), entities) == (1, [])
        elif relations:
            assert len(relations) == 1
            kinds[len(entities)] += 1
        else:
            assert [k for _, k in entities] == [1, 3]
            assert entities[0][0] == entities[1][0]
            kinds["sentence"] += 1
    for kind in ("plain", "code_switched"):
        assert near(chosen[kind], places[kind], 0.15), kind
    assert near(fates["mask"], chosen.total(), 0.8)
    assert fates["same"] / chosen.total() == pytest.approx(0.1, abs=0.02)
    assert set(kinds) == {1, 2, "sentence"}
    assert near(kinds["sentence"], kinds.total(), 0.2)
    assert near(kinds[1], kinds[1] + kinds[2], 0.5)


def test_without_r_cycles_are_masked_as_code_switched_text(files, tokenizer, written):
    places = chosen = 0
    sizes = set()
    found = seen(files, tokenizer, streams=("reasoning",), reasoning_mask="plain")
    for row, _, predicted in matched(found, written):
        slot = np.array(row["slot"])
        assert not predicted[slot == 0].any()
        places, chosen = places + int((slot > 0).sum()), chosen + int(predicted.sum())
        sizes.add(int(predicted.sum()))
    assert near(chosen, places, 0.15)
    assert len(sizes) > 4
