import json

import pytest

from kgcorpus.contracts.errors import UsageError
from proofs.experiment import write_result
from proofs.jaket import Plan
from proofs.jaket_cells import Training
from proofs.jaket_report import is_validation, result, tables
from proofs.jaket_world import Size


def small(**changed):
    size = Size(people=60, towns=10, houses=10, passages=40)
    training = Training(steps=2, hidden=16, roots=8, passages=4, unseen_share=0.3)
    return Plan(**{"rates": (1e-3,), "seeds": (7,), **changed}, size=size, training=training)


@pytest.mark.slow
def test_a_stopped_proof_goes_on_and_another_plan_is_refused(tmp_path):
    plan = small()
    found = plan.run(plan.cells, tmp_path / "work", workers=1)
    files = sorted((tmp_path / "work" / "cells").iterdir())
    assert [file.name for file in files] == ["joint-lr0.001-seed7.json", "no-graph-lr0.001-seed7.json"]
    first = [file.read_bytes() for file in files]
    files[0].unlink()
    plan.run(plan.cells, tmp_path / "work", workers=1)
    again, before = json.loads(files[0].read_text()), json.loads(first[0])
    assert again["category"] == before["category"]
    assert again["masked_entity"] == before["masked_entity"]
    assert files[1].read_bytes() == first[1]
    # Without neighbours there is nothing that the ablation could take away.
    alone = json.loads(first[1])["category"]["right"]
    assert alone["joint"] == alone["no_graph"]

    write_result(tmp_path / "jaket", plan, result(found), {"cells": found}, text=tables(result(found), found))
    assert json.loads((tmp_path / "jaket.json").read_text())["rates"] == {"joint": 1e-3, "no graph": 1e-3}
    other = small(rates=(2e-3,))
    with pytest.raises(UsageError):
        other.run(other.cells, tmp_path / "work", workers=1)


ABOUT = [f"Q{i}" for i in range(60)]
VALIDATION = [is_validation(qid) for qid in ABOUT]


def cell(arm, lr, seed, hits):
    """`hits(validation, arm asked with)` tells whether the answers about such entities are right."""
    names = ("joint", "stale_memory", "random_memory", "no_graph")
    right = {name: [bool(hits(validation, name)) for validation in VALIDATION] for name in names}
    of_task = {"about": ABOUT, "right": right}
    return {"arm": arm, "lr": lr, "seed": seed, "tokens": 9, "category": of_task, "masked_entity": of_task}


def grid(hits):
    return [
        cell(arm, lr, seed, lambda v, asked, arm=arm, lr=lr: hits(arm, lr, v, asked))
        for arm in ("joint", "no graph")
        for lr in (0.1, 0.2)
        for seed in (1, 2)
    ]


def test_the_rate_is_chosen_on_validation_and_never_on_test():
    found = result(grid(lambda arm, lr, validation, asked: (lr == 0.2) == validation))
    assert found["rates"] == {"joint": 0.2, "no graph": 0.2}
    assert found["accuracy"]["category"]["joint"] == 0


def test_the_result_compares_on_test_entities_alone():
    cells = grid(lambda arm, lr, v, asked: v or (arm, asked) == ("joint", "joint"))
    found = result(cells)
    for task in ("category", "masked_entity"):
        assert found["primary"][task] == {"difference": 1, "interval": [1, 1], "by_seed": [1, 1]}
        assert {name: one["difference"] for name, one in found["secondary"][task].items()} == {
            "joint - joint with stale_memory": 1,
            "joint - joint with random_memory": 1,
            "joint - joint with no_graph": 1,
        }
    assert "The claim holds" in tables(found, cells)
    same = grid(lambda arm, lr, v, asked: True)
    assert "does not hold" in tables(result(same), same)


def test_the_claim_needs_both_tasks():
    cells = grid(lambda arm, lr, v, asked: v or (arm, asked) == ("joint", "joint"))
    for cell in cells:
        cell["masked_entity"] = cells[0]["masked_entity"]
    assert result(cells)["primary"]["category"]["interval"][0] == 1
    assert "does not hold" in tables(result(cells), cells)


def test_about_half_of_the_entities_choose_the_rate():
    assert 15 < sum(VALIDATION) < 45
