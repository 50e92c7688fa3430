"""Each metric against its official definition, written a second time."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluate.metrics import (
    accuracy,
    directed_macro_scores,
    f1_of,
    label_sets,
    macro_scores,
    matthews,
    micro_scores,
    pearson,
    spearman,
)

LABELS = ["no_relation", "a(e1,e2)", "a(e2,e1)", "b(e1,e2)", "b(e2,e1)"]
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)
NUMBERS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30)


def harmonic(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@given(PAIRS)
def test_micro_f1_is_tacred_s(pairs):
    """As https://nlp.stanford.edu/projects/tacred: counts of rows, one case after the other."""
    correct, guessed, gold = Counter(), Counter(), Counter()
    for g, p in pairs:
        if g == "no_relation" and p == "no_relation":
            continue
        if g == "no_relation":
            guessed[p] += 1
        elif p == "no_relation":
            gold[g] += 1
        else:
            guessed[p] += 1
            gold[g] += 1
            correct[g] += g == p
    precision = correct.total() / guessed.total() if guessed else 1.0
    recall = correct.total() / gold.total() if gold else 0.0
    assert micro_scores(*zip(*pairs, strict=True), without="no_relation") == pytest.approx(
        {
            # The official script prints a precision of 1 where nothing is guessed.
            "micro_precision": precision if guessed else 0.0,
            "micro_recall": recall,
            "micro_f1": harmonic(precision, recall),
        }
    )


@given(PAIRS)
def test_directed_macro_f1_is_semeval_s(pairs):
    """The official scorer's confusion matrix over undirected relations, with a column of wrong directions."""
    matrix, wrong_direction = Counter(), Counter()
    for g, p in pairs:
        if g[0] == p[0] and g != p:
            wrong_direction[g[0]] += 1
        else:
            matrix[g[0], p[0]] += 1
    scores = []
    for name in sorted({g[0] for g, _ in pairs} - {"n"}):
        row = sum(n for (g, _), n in matrix.items() if g == name) + wrong_direction[name]
        column = sum(n for (_, p), n in matrix.items() if p == name) + wrong_direction[name]
        hit = matrix[name, name]
        precision, recall = hit / column if column else 0.0, hit / row
        scores.append((precision, recall, harmonic(precision, recall)))
    expected = np.mean(scores, axis=0) if scores else np.zeros(3)
    found = directed_macro_scores(*zip(*pairs, strict=True), without="no_relation")
    assert list(found) == ["macro_precision", "macro_recall", "macro_f1"]
    assert list(found.values()) == pytest.approx(list(expected))


@given(PAIRS)
def test_macro_f1_is_the_mean_of_the_labels_f1(pairs):
    gold, predicted = zip(*pairs, strict=True)
    scores = []
    for label in sorted(set(gold) - {"no_relation"}):
        hit = np.array(gold) == label
        said = np.array(predicted) == label
        precision = (hit & said).sum() / said.sum() if said.any() else 0.0
        recall = (hit & said).sum() / hit.sum()
        scores.append((precision, recall, harmonic(precision, recall)))
        assert f1_of(label, gold, predicted) == pytest.approx(scores[-1][2])
    expected = np.mean(scores, axis=0) if scores else np.zeros(3)
    found = macro_scores(gold, predicted, without=["no_relation"])
    assert list(found.values()) == pytest.approx(list(expected))
    assert accuracy(gold, predicted) == np.mean([g == p for g, p in pairs])


@given(st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("01")), min_size=1, max_size=30))
def test_matthews_is_the_correlation_of_the_two_labels(pairs):
    gold, predicted = zip(*pairs, strict=True)
    constant = len(set(gold)) == 1 or len(set(predicted)) == 1
    expected = 0.0 if constant else np.corrcoef([float(x) for x in gold], [float(x) for x in predicted])[0, 1]
    assert matthews(gold, predicted) == pytest.approx(expected)


@given(NUMBERS)
def test_correlations(pairs):
    x, y = ([float(v) for v in values] for values in zip(*pairs, strict=True))
    constant = len(set(x)) == 1 or len(set(y)) == 1
    assert pearson(x, y) == pytest.approx(0.0 if constant else np.corrcoef(x, y)[0, 1], abs=1e-9)

    def ranks(values):
        return [sum(v < value for v in values) + (values.count(value) + 1) / 2 for value in values]

    assert spearman(x, y) == pytest.approx(pearson(ranks(x), ranks(y)), abs=1e-9)


TYPES = st.frozensets(st.sampled_from("abc"))


@given(st.lists(st.tuples(TYPES, TYPES), min_size=1, max_size=10))
def test_label_sets_are_ernie_s(pairs):
    """As ERNIE's run_typing.py: per-example precision and recall summed over the examples (loose macro)."""
    hits = sum(len(g & p) for g, p in pairs)
    said, known = sum(len(p) for _, p in pairs), sum(len(g) for g, _ in pairs)
    micro = harmonic(hits / said if said else 0.0, hits / known if known else 0.0)
    precision = np.mean([len(g & p) / len(p) if p else 0.0 for g, p in pairs])
    recall = np.mean([len(g & p) / len(g) if g else 0.0 for g, p in pairs])
    found = label_sets(*zip(*pairs, strict=True))
    assert found["loose_micro_f1"] == pytest.approx(micro)
    assert found["loose_micro_precision"] == pytest.approx(hits / said if said else 0.0)
    assert found["loose_micro_recall"] == pytest.approx(hits / known if known else 0.0)
    assert (found["loose_macro_precision"], found["loose_macro_recall"]) == pytest.approx((precision, recall))
    assert found["loose_macro_f1"] == pytest.approx(harmonic(precision, recall))
    assert found["strict_accuracy"] == np.mean([g == p for g, p in pairs])
