import numpy as np
import pytest
import torch

from trainer.config import MemoryConfig
from trainer.trelm.memory import MemoryBank, memory_weight, window


def bank(**options):
    return MemoryBank(4, 2, MemoryConfig(**options))


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def test_two_writes_by_hand():
    memory = bank(gamma=0.1, literal=True)
    memory.write(torch.tensor([2, 0, 2]), tensor([2, 0], [5, 5], [4, 2]), tensor([1, 1], [7, 7], [3, 1]))
    memory.write(torch.tensor([2]), tensor([0, 10]), tensor([2, 4]))
    # .1 of the mean (3, 1), then .9 of it and .1 of (0, 10).
    np.testing.assert_allclose(memory.local[2], [0.27, 1.09], rtol=1e-6)
    np.testing.assert_allclose(memory.total[2], [6, 6])
    assert memory.count.tolist() == [1, 0, 3, 0]
    read, written = memory.read(np.array([2, 0, 1]))
    np.testing.assert_allclose(read, [[(0.27 + 2) / 2, (1.09 + 2) / 2], [3.75, 3.75], [0, 0]], rtol=1e-6)
    assert written.tolist() == [True, True, False]


def test_the_global_part_may_be_a_moving_average():
    memory = bank(gamma=0.5, literal=True, global_part="ema")
    memory.write(torch.tensor([1, 1]), tensor([0, 0], [0, 0]), tensor([2, 0], [4, 0]))
    memory.write(torch.tensor([1]), tensor([0, 0]), tensor([1, 8]))
    np.testing.assert_allclose(memory.total[1], [0.5 * 1.5 + 0.5, 4])
    np.testing.assert_allclose(memory.read(np.array([1]))[0], [[0.625, 2]])


def test_a_slot_without_a_text_is_read_as_its_local_part():
    memory = bank(literal=True)
    memory.local[3] = tensor([3, 4])
    np.testing.assert_allclose(memory.read(np.array([3]))[0], [[3, 4]])


def test_reads_have_both_parts_at_one_length():
    memory = bank()
    memory.write(torch.tensor([0]), tensor([300, 400]), tensor([0.05, 0]))
    np.testing.assert_allclose(memory.read(np.array([0]))[0], [[(0.6 + 1) / 2, 0.4]], rtol=1e-6)


def test_one_write_of_all_is_that_of_two_ranks_in_either_order():
    slots, local, summary = torch.tensor([0, 3, 0, 1]), torch.rand(4, 2), torch.rand(4, 2)
    found = []
    for order in ([0, 1, 2, 3], [2, 3, 0, 1]):
        memory = bank()
        memory.write(slots[order], local[order], summary[order])
        found.append(memory.collect())
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name])


def test_lambda_falls_by_quarters_and_is_0_in_the_last_tenth():
    config = MemoryConfig(weight=0.5, beta=2.0)
    found = [memory_weight(step, 100, config) for step in (0, 24, 25, 50, 75, 89, 90, 99, 100, 300)]
    assert found == [0.5, 0.5, 0.25, 0.125, 0.0625, 0.0625, 0, 0, 0, 0]
    assert memory_weight(80, 100, MemoryConfig(weight=0.5, beta=1.0)) == 0.5


@pytest.mark.parametrize(
    ("span", "expected"), [((5, 7), (2, 10)), ((1, 2), (1, 5)), ((17, 19), (14, 19)), ((1, 19), (1, 19))]
)
def test_the_window_ends_at_the_text_s_specials(span, expected):
    # [CLS] 1..18 [SEP]
    assert window(*span, k=3, tokens=20) == expected


def test_a_checkpoint_keeps_it():
    memory, other = bank(), bank()
    memory.write(torch.tensor([2]), tensor([1, 2]), tensor([3, 4]))
    other.load(memory.collect())
    np.testing.assert_array_equal(other.read(np.array([2, 1]))[0], memory.read(np.array([2, 1]))[0])
