import math

from kgcorpus.importance.formula import semantic_importance


def test_the_less_alike_the_more_important():
    assert semantic_importance(1.0) == 1.0
    assert semantic_importance(0.5) == 2.0
    assert semantic_importance(0.9) < semantic_importance(0.8)


def test_orthogonal_and_opposite_states_are_capped():
    for cos in (1e-6, 0.0, -1.0):
        assert math.isclose(semantic_importance(cos), 1e6)
