"""Splits by hash."""

from collections import Counter

from kgcorpus.contracts.splits import split_of_page, split_of_pair, split_of_pairs


def test_a_pair_has_no_direction() -> None:
    assert all(
        split_of_pair(0, f"Q{i}", f"Q{i + 1}") == split_of_pair(0, f"Q{i + 1}", f"Q{i}") for i in range(300)
    )


def test_shares_are_96_2_2_by_pair_and_90_5_5_by_page() -> None:
    pairs = Counter(split_of_pair(0, f"Q{i}", "Q5") for i in range(20_000))
    pages = Counter(split_of_page(0, "en", i) for i in range(20_000))
    assert 0.95 < pairs["train"] / 20_000 < 0.97
    assert 300 < pairs["validation"] < 500
    assert 300 < pairs["test"] < 500
    assert 0.89 < pages["train"] / 20_000 < 0.91
    assert 900 < pages["test"] < 1100


def test_one_test_pair_makes_the_record_a_test_record() -> None:
    by_split: dict[str, tuple[str, str]] = {}
    for i in range(2000):
        by_split.setdefault(split_of_pair(3, f"Q{i}", "Q1"), (f"Q{i}", "Q1"))
    train, validation, test = (by_split[split] for split in ("train", "validation", "test"))
    assert split_of_pairs(3, [train, train]) == "train"
    assert split_of_pairs(3, [train, validation]) == "validation"
    assert split_of_pairs(3, [validation, test, train]) == "test"
