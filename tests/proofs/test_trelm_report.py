import pytest

from proofs.trelm_cells import ARMS
from proofs.trelm_report import best_rates, equal_time_gain, result, tables, time_to


def cell(arm="dense", *, clock=(0, 10, 20), new=(0.0, 0.4, 0.8), corpus="mixed", lr=1e-3, seed=1):
    series = [
        {
            "step": 8 * i,
            "seconds": float(at),
            "right": {"new": right, "rare": right / 2, "frequent": right, "known": 1 - right / 2},
            **({"loss": 2 - right} if i else {}),
        }
        for i, (at, right) in enumerate(zip(clock, new, strict=True))
    ]
    return {"arm": arm, "corpus": corpus, "lr": lr, "seed": seed, "series": series}


def test_the_gain_is_taken_when_the_sooner_one_has_ended():
    quick = cell(clock=(0, 5, 15), new=(0.0, 0.5, 0.7))
    assert equal_time_gain(quick, cell()) == pytest.approx(0.7 - 0.6)
    assert equal_time_gain(cell(), quick) == pytest.approx(0.6 - 0.7)


def test_a_target_is_reached_between_two_probes_or_never():
    assert time_to(cell(), [0.0, 0.4, 0.8], 0.6) == pytest.approx(15)
    assert time_to(cell(), [0.0, 0.4, 0.8], 0.9) is None
    # Losses have no value before the first steps.
    assert time_to(cell(), [-1.6, -1.2], -1.4) == pytest.approx(15)
    assert time_to(cell(), [-1.6, -1.2], -1.7) == 10


def test_the_rate_is_that_of_the_most_new_facts_at_the_end():
    sweep = [
        cell(lr=0.1, new=(0, 0.9, 0.2)),
        cell(lr=0.2, new=(0, 0.1, 0.5)),
        cell(lr=0.3, new=(0, 0.1, 0.5)),
    ]
    assert best_rates(sweep) == {("dense", "mixed"): 0.2}


def grid(ahead):
    return [
        cell(arm, corpus=corpus, seed=seed, new=(0.0, 0.4, 0.8 + (ahead if arm.startswith("path") else 0)))
        for seed in (1, 2, 3)
        for corpus in ("new", "mixed")
        for arm in ARMS
    ]


def test_the_headline_says_whether_the_interval_is_above_0():
    found = result(grid(0.1))
    assert found["primary"][0]["difference"] == pytest.approx(0.1)
    assert "The interval is above 0" in tables(found, [], grid(0.1))
    assert "The interval is not above 0" in tables(result(grid(0.0)), [], grid(0.0))
    assert "The interval is not above 0" in tables(result(grid(-0.1)), [], grid(-0.1))


def test_a_base_that_knows_too_little_is_told_first():
    cells = grid(0.1)
    assert "knows less than" not in tables(result(cells), [], cells)
    cells[0]["series"][0]["right"]["known"] = 0.9
    assert tables(result(cells), [], cells).split("\n\n")[1].startswith("**The base of the seeds [1] knows")


def test_times_are_shares_of_the_dense_arms_own():
    found = result(grid(0.1))["arms"]["mixed"]
    assert found["dense"]["time_to_accuracy"] == [1.0] * 3
    path = found["path, attributed 30%"]["time_to_accuracy"]
    assert path == pytest.approx([(10 + 10 * 0.4 / 0.5) / 20] * 3)
    assert found["dense"]["known"] == pytest.approx(0.6)
    assert found["dense"]["known_before"] == 1
