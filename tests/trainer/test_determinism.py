import numpy as np
import torch

from trainer.determinism import deterministic_on_cpu

ROWS, READS, WIDTH = 50, 20_000, 33


def test_gradients_of_rows_are_added_in_the_order_of_the_index():
    draw = np.random.default_rng(0)
    index = draw.integers(0, ROWS, READS)
    arriving = (draw.standard_normal((READS, WIDTH)) * 10.0 ** draw.integers(-4, 5, (READS, 1))).astype(
        np.float32
    )
    expected = np.zeros((ROWS, WIDTH), np.float32)
    np.add.at(expected, index, arriving)
    table = torch.zeros(ROWS, WIDTH, requires_grad=True)
    with deterministic_on_cpu():
        table[torch.from_numpy(index)].backward(torch.from_numpy(arriving))
    assert table.grad is not None
    assert np.array_equal(table.grad.numpy(), expected)


def test_torch_is_left_as_it_was():
    filled = torch.utils.deterministic.fill_uninitialized_memory

    @deterministic_on_cpu()
    def enabled() -> bool:
        return torch.are_deterministic_algorithms_enabled()

    assert enabled() is not torch.cuda.is_available()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory is filled
