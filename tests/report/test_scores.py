"""`evaluate` prints the scores that its file holds."""

from kgcorpus.report.scores import summary


def test_scores_are_shown_without_settings_and_counts_inside():
    result = {
        "benchmark": "xlr",
        "config": {"lr": 0.1},
        "n": 12,
        "selection": {"dev": {"mean": 0.9}},
        "sampled": {"test": 3},
        "all": {"mean": 0.51234, "deviation": 0.0, "values": [0.5], "n": 12},
    }
    assert summary(result) == "xlr: n=12 all.mean=0.5123"


def test_a_series_shows_its_last_checkpoint():
    series = [{"step": step, "seconds": 1.0, "p@1": step / 100} for step in (10, 20)]
    assert summary({"benchmark": "lama", "series": series}) == "lama, step 20: p@1=0.2"


def test_many_numbers_are_counted():
    shown = summary({"benchmark": "ner", **{f"f{i}": 0.5 for i in range(12)}})
    assert shown.count("=") == 8
    assert shown.endswith("and 4 more numbers")
