import torch
from torch import nn

from trainer.evaluate.config import EvaluationConfig
from trainer.jaket.evaluate.fine_tuning import Task, batches, fine_tune


class Line(Task[torch.Tensor]):
    """Fits a number to 1; its validation scores are given, its test score tells the epoch."""

    def __init__(self, validation):
        self.module = nn.Linear(1, 1, bias=False)
        self.validation, self.asked, self.seeds, self.epochs = validation, [], [], 0

    def epoch(self, number):
        return [torch.ones(1, 1)] * 3

    def loss(self, batch, *, seed):
        self.seeds.append(seed)
        assert self.module.training
        return (self.module(batch) - 1).square().mean()

    def score(self, part):
        assert not self.module.training
        assert not torch.is_grad_enabled()
        if part == "validation":
            self.epochs += 1
            return self.validation[self.epochs - 1]
        self.asked.append(self.epochs)
        return float(self.epochs)


def test_the_test_is_that_of_the_best_epoch_on_validation():
    task = Line([0.2, 0.5, 0.5, 0.1])
    assert fine_tune(task, EvaluationConfig(epochs=4), hidden=16, seed=0) == (2.0, 2, 0.5)
    assert task.asked == [1, 2]


def test_it_learns_with_the_given_rate_and_its_own_draws_each_step():
    task = Line([0.0] * 50)
    fine_tune(task, EvaluationConfig(epochs=50, lr=0.1, weight_decay=0.0), hidden=16, seed=0)
    assert abs(task.module.weight.item() - 1) < 0.05
    assert len(set(task.seeds)) == 150


def test_batches_keep_the_order():
    assert batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
