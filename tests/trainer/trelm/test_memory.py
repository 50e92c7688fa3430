import numpy as np
import pytest
import torch

from trainer.trelm.config import MemoryConfig
from trainer.trelm.memory import MemoryBank, memory_weight, window


def bank(**options):
    return MemoryBank(4, 2, MemoryConfig(**options))


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float32)


ALONE = torch.tensor([True])


def test_two_writes_by_hand():
    memory = bank(gamma=0.1)
    # The third is a second mention in the text of the first: its window counts, its [CLS] does not.
    memory.write(
        torch.tensor([2, 0, 2, 2]),
        tensor([2, 0], [5, 5], [4, 2], [3, 1]),
        tensor([1, 1], [7, 7], [1, 1], [3, 1]),
        torch.tensor([True, True, False, True]),
    )
    memory.write(torch.tensor([2]), tensor([0, 10]), tensor([2, 4]), ALONE)
    # .1 of the mean (3, 1), then .9 of it and .1 of (0, 10).
    np.testing.assert_allclose(memory.local[2], [0.27, 1.09], rtol=1e-6)
    np.testing.assert_allclose(memory.total[2], [6, 6])
    assert memory.count.tolist() == [1, 0, 3, 0]
    assert memory.read(np.array([2, 0, 1]))[1].tolist() == [True, True, False]


def test_literal_reads_keep_their_length_and_start_at_the_first_embeddings():
    first = tensor([1, 2], [3, 4], [5, 6], [7, 8])
    memory = MemoryBank(4, 2, MemoryConfig(gamma=0.5, literal=True), initial=lambda slots: first[slots])
    memory.write(torch.tensor([1]), tensor([5, 8]), tensor([20, 10]), ALONE)
    read, readable = memory.read(np.array([1, 3]))
    np.testing.assert_allclose(read, [[(4 + 20) / 2, (6 + 10) / 2], [7, 8]])
    assert readable.tolist() == [True, True]


def test_the_global_part_may_be_a_moving_average():
    memory = bank(gamma=0.5, literal=True, global_part="ema")
    memory.write(
        torch.tensor([1, 1, 1]), tensor([0, 0], [0, 0], [0, 0]), tensor([2, 0], [2, 0], [4, 0]),
        torch.tensor([True, False, True]),
    )  # fmt: skip
    memory.write(torch.tensor([1]), tensor([0, 0]), tensor([1, 8]), ALONE)
    np.testing.assert_allclose(memory.total[1], [0.5 * 1.5 + 0.5, 4])
    np.testing.assert_allclose(memory.read(np.array([1]))[0], [[0.625, 2]])


def test_reads_have_both_parts_at_one_length():
    memory = bank()
    memory.write(torch.tensor([0]), tensor([300, 400]), tensor([0.05, 0]), ALONE)
    np.testing.assert_allclose(memory.read(np.array([0]))[0], [[(0.6 + 1) / 2, 0.4]], rtol=1e-6)


def test_one_write_of_all_is_that_of_two_ranks_in_either_order():
    slots, local, summary = torch.tensor([0, 3, 0, 1]), torch.rand(4, 2), torch.rand(4, 2)
    first = torch.tensor([True, True, False, True])
    found = []
    for order in ([0, 1, 2, 3], [2, 3, 0, 1]):
        memory = bank()
        memory.write(slots[order], local[order], summary[order], first[order])
        found.append(memory.collect())
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name])


def weights(steps, *, epoch_steps=1000.0, **options):
    config = MemoryConfig(weight=0.5, **options)
    return [memory_weight(step, config, total_steps=100, epoch_steps=epoch_steps) for step in steps]


def test_lambda_falls_by_quarters_and_is_0_in_the_last_tenth():
    found = weights((0, 24, 25, 50, 75, 89, 90, 99, 100, 300), beta=2.0)
    assert found == [0.5, 0.5, 0.25, 0.125, 0.0625, 0.0625, 0, 0, 0, 0]
    assert weights([80], beta=1.0) == [0.5]


def test_literal_lambda_falls_by_epochs():
    found = weights((0, 39, 40, 79, 80, 99), epoch_steps=39.5, beta=2.0, literal=True)
    assert found == [0.5, 0.5, 0.25, 0.125, 0.125, 0.125]


@pytest.mark.parametrize(
    ("span", "expected"), [((5, 7), (2, 10)), ((1, 2), (1, 5)), ((17, 19), (14, 19)), ((1, 19), (1, 19))]
)
def test_the_window_ends_at_the_text_s_specials(span, expected):
    # [CLS] 1..18 [SEP]
    assert window(*span, k=3, tokens=20) == expected


def test_a_checkpoint_keeps_it():
    memory, other = bank(), bank()
    memory.write(torch.tensor([2]), tensor([1, 2]), tensor([3, 4]), ALONE)
    other.load(memory.collect())
    np.testing.assert_array_equal(other.read(np.array([2, 1]))[0], memory.read(np.array([2, 1]))[0])
