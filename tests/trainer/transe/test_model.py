"""The step of TransE against autograd over whole tables, and what a run gives."""

import math

import numpy as np
import pytest
import torch

from trainer.transe.config import TranseConfig
from trainer.transe.data import Batches
from trainer.transe.model import Batch, TransE


def make(config: TranseConfig, *, entities: int = 12, relations: int = 3) -> TransE:
    return TransE(
        config,
        entity_ids=[f"Q{i}" for i in range(entities)],
        relation_ids=[f"P{i}" for i in range(relations)],
        seed=3,
        device=torch.device("cpu"),
    )


def batch() -> Batch:
    # Entity 1 is head twice and tail once; 4 is both a fact's tail and a negative; 5 a head's own negative.
    rows = ([1, 1, 5], [0, 2, 0], [4, 3, 1], [4, 5, 6, 6], [4, 7, 0, 3])
    return Batch(*(torch.tensor(row) for row in rows))


def naive_loss(entities, relations, config: TranseConfig, b: Batch) -> torch.Tensor:
    """The loss fact by fact, as its formula reads."""
    total, s, m = 0.0, config.sharpness, config.margin

    def distance(h, r, t):
        return (entities[h] + relations[r] - entities[t]).abs().pow(config.norm).sum() ** (1 / config.norm)

    def sigma(x):
        return 1 / (1 + torch.exp(-x))

    n = len(b.heads)
    for h, r, t in zip(b.heads.tolist(), b.relations.tolist(), b.tails.tolist(), strict=True):
        total = total - torch.log(sigma(s * (m - distance(h, r, t)))) / n
        for negatives in (
            [distance(x, r, t) for x in b.other_heads.tolist() if x != h],
            [distance(h, r, x) for x in b.other_tails.tolist() if x != t],
        ):
            weights = [math.exp(-s * d.item()) for d in negatives]
            for d, w in zip(negatives, weights, strict=True):
                total = total - 0.5 * w / sum(weights) * torch.log(sigma(s * (d - m))) / n
    return total


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("unit", [True, False])
def test_a_step_is_adagrad_on_the_formula_and_leaves_other_rows_alone(norm, unit):
    # Flat enough for every negative to weigh something: Adagrad magnifies a vanishing gradient's rounding.
    sharpness = 1.0 if unit else 0.2
    config = TranseConfig(dim=5, norm=norm, unit_entities=unit, lr=0.1, margin=0.7, sharpness=sharpness)
    model = make(config)
    squares = [torch.zeros(12, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)]
    expected = [model.entities.double(), model.relations.double()]
    for _ in range(2):
        leaves = [table.clone().requires_grad_() for table in expected]
        loss = naive_loss(*leaves, config, batch())
        loss.backward()
        assert model.step(batch()) == pytest.approx(loss.item(), abs=1e-5)
        for i, leaf in enumerate(leaves):
            squares[i] = squares[i] + leaf.grad.square().mean(dim=1)
            scale = torch.where(squares[i] > 0, squares[i].rsqrt(), 0.0)
            expected[i] = leaf.detach() - config.lr * leaf.grad * scale[:, None]
            if unit and i == 0:
                expected[i] = expected[i] / expected[i].norm(dim=1, keepdim=True)
    torch.testing.assert_close(model.entities.double(), expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(model.relations.double(), expected[1], atol=1e-5, rtol=0)
    untouched = [2, 8, 9, 10, 11]
    assert torch.equal(model.entities[untouched], make(config).entities[untouched])
    assert torch.equal(model.relations[1], make(config).relations[1])


def test_an_epoch_reads_every_fact_once_in_an_order_of_its_own():
    facts = np.arange(21, dtype=np.int32).reshape(7, 3)
    batches = Batches(facts, entities=1000, size=3, negatives=50, seed=0)
    cpu = torch.device("cpu")
    epochs = [[batches.at(3 * e + i, cpu) for i in range(3)] for e in range(2)]
    orders = [torch.cat([b.heads for b in epoch]).tolist() for epoch in epochs]
    assert batches.an_epoch == 3
    assert [sorted(order) for order in orders] == [list(range(0, 21, 3))] * 2
    assert orders[0] != orders[1]
    # A reader that begins at step 4 sees what one that came there sees.
    fresh = Batches(facts, entities=1000, size=3, negatives=50, seed=0).at(4, cpu)
    for name, tensor in vars(epochs[1][1]).items():
        assert torch.equal(tensor, getattr(fresh, name))


def test_negatives_are_uniform_and_drawn_anew():
    facts = np.zeros((1, 3), np.int32)
    batches = Batches(facts, entities=10, size=1, negatives=500, seed=0)
    steps = [batches.at(step, torch.device("cpu")) for step in range(20)]
    heads = torch.cat([b.other_heads for b in steps])
    tails = torch.cat([b.other_tails for b in steps])
    # 10,000 draws of ten: 1,000 each with a deviation of 30.
    for drawn in (heads, tails):
        assert (torch.bincount(drawn, minlength=10) - 1000).abs().max() < 150
    assert not torch.equal(heads, tails)
    assert not torch.equal(steps[0].other_heads, steps[1].other_heads)
