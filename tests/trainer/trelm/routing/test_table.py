import torch
from accelerate import Accelerator
from torch import nn

from trainer.trelm.routing.table import TableRows, joined

STEP = {"lr": 0.01, "weight_decay": 0.1, "betas": (0.9, 0.98), "eps": 1e-6}


def table_of(rows=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 4, generator=generator, dtype=torch.float64)


def loss_of(read, score):
    """A loss of the table at both ends."""
    states = read(torch.tensor([[1, 5, 5], [2, 1, 7]])).tanh().flatten(0, 1)
    return score(states).log_softmax(dim=1)[torch.arange(6), torch.tensor([3, 1, 1, 11, 0, 5])].sum()


def test_both_ends_have_the_rows_of_the_dense_gradient():
    dense, bias = nn.Parameter(table_of()), nn.Parameter(torch.arange(12.0, dtype=torch.float64))
    loss_of(dense.__getitem__, lambda states: states @ dense.T + bias).backward()
    of_bias, bias.grad = bias.grad, None
    table = TableRows(table_of())
    rows = torch.tensor([0, 1, 5, 8])
    table.prepare(rows)
    loss_of(table.look_up, lambda states: table.scores(states, bias)).backward()
    torch.testing.assert_close(table.values.grad, dense.grad[rows], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(bias.grad, of_bias, rtol=1e-12, atol=1e-14)


def test_each_row_is_trained_by_adamw_on_the_steps_that_touch_it():
    start, whole = table_of(), table_of()
    table = TableRows(whole)
    single = [nn.Parameter(row.clone()) for row in start]
    optimizers = [torch.optim.AdamW([row], **STEP) for row in single]
    for step, rows in enumerate(([1, 4], [4, 5, 9], [1], [1, 4, 9], [0])):
        gradients = table_of(len(rows), seed=step + 1)
        table.prepare(torch.tensor(rows))
        table.values.grad = gradients.clone()
        table.step(**STEP)
        for row, gradient in zip(rows, gradients, strict=True):
            single[row].grad = gradient.clone()
            optimizers[row].step()
    torch.testing.assert_close(whole, torch.stack([row.detach() for row in single]), rtol=1e-12, atol=1e-14)
    untouched = [2, 3, 6, 7, 8, 10, 11]
    assert torch.equal(whole[untouched], start[untouched])
    assert table.state()["table.rows"].tolist() == [0, 1, 4, 5, 9]
    assert table.state()["table.steps"].tolist() == [1, 3, 3, 1, 2]


def test_it_continues_from_its_own_state_and_from_that_of_a_dense_table():
    dense = nn.Parameter(table_of())
    optimizer = torch.optim.AdamW([dense], **STEP)
    for seed in (1, 2):
        dense.grad = table_of(seed=seed)
        optimizer.step()
    tables = [TableRows(dense.detach().clone()) for _ in range(2)]
    tables[0].take_moments(optimizer.state[dense])
    tables[1].load_state(tables[0].state())
    gradient = table_of(seed=3)
    dense.grad = gradient.clone()
    optimizer.step()
    for table in tables:
        table.prepare(torch.tensor([2, 7]))
        table.values.grad = gradient[[2, 7]].clone()
        table.step(**STEP)
        found = table._table[0]
        torch.testing.assert_close(found[[2, 7]], dense.detach()[[2, 7]], rtol=1e-12, atol=1e-14)


def test_one_rank_joins_its_rows_once_each():
    assert joined(torch.tensor([3, 1, 3]), Accelerator(cpu=True)).tolist() == [1, 3]
