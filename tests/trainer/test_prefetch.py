import copy
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.prefetch import Prefetcher


class Stream:
    """Hands out whole numbers; its state is the next one."""

    def __init__(self):
        self.next = 0

    def make(self, step):
        taken = list(range(self.next, self.next + 1 + step % 3))
        self.next += len(taken)
        return taken

    def ahead(self):
        return Prefetcher(self.make, state=lambda: {"next": self.next}, load_state=self.load)

    def load(self, state):
        self.next = state["next"]


def read_plainly(steps):
    stream = Stream()
    return [(stream.make(step), stream.next) for step in range(steps)]


@given(st.integers(1, 12), st.data())
def test_going_back_to_any_state_gives_what_a_reader_without_it_gives(steps, data):
    expected = read_plainly(steps)
    ahead = Stream().ahead()
    states = [ahead.state()]
    for step, (taken, after) in enumerate(expected):
        assert ahead.take(step) == taken
        assert ahead.state() == {"next": after}
        states.append(ahead.state())
    back = data.draw(st.integers(0, steps - 1))
    for reader in (ahead, Stream().ahead()):
        reader.load_state(states[back])
        assert [reader.take(step) for step in range(back, steps)] == [taken for taken, _ in expected[back:]]


def test_the_next_step_is_made_while_this_one_is_at_work():
    made = [threading.Event() for _ in range(3)]

    def make(step):
        made[step].set()
        return step

    ahead = Prefetcher(make, state=dict, load_state=lambda state: None)
    assert ahead.take(0) == 0
    assert made[1].wait(10)


def test_a_fault_in_the_next_step_comes_when_it_is_taken():
    def make(step):
        if step:
            raise ValueError("broken record")
        return step

    ahead = Prefetcher(make, state=dict, load_state=lambda state: None)
    assert ahead.take(0) == 0
    with pytest.raises(ValueError, match="broken record"):
        ahead.take(1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12))
def test_a_step_that_was_peeked_at_is_taken_unchanged_and_another_starts_where_the_last_one_ended(asked):
    plain, ahead = Stream(), Stream().ahead()
    for peeks, step in asked:
        if peeks:
            before = ahead.state()
            assert ahead.peek(step) == Stream.make(copy.copy(plain), step)
            assert ahead.state() == before
        assert ahead.take(step) == plain.make(step)
        assert ahead.state() == {"next": plain.next}
