from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.trelm.world import passages_of
from trainer.shards import MentionRecord
from trainer.trelm.targets import TargetChooser, important


def record(row, epoch=0):
    return MentionRecord(row["id"], np.arange(99, dtype=np.int32), [], row["mentions"], epoch)


def chooser(**options):
    return TargetChooser(
        **{"inject": "longtail", "min_si": 0.0, "known": lambda fact: True, "seed": 0, **options}
    )


@given(
    st.lists(st.one_of(st.none(), st.sampled_from([1.0, 1.1, 1.2, 1.5, 2.0])), max_size=9), st.floats(0, 2.5)
)
def test_the_upper_half_by_importance_is_chosen_at_least_one_never_one_without(scores, least):
    chosen = important([{"si": score} for score in scores], min_si=least)
    known = sorted((score for score in scores if score is not None), reverse=True)
    expected = [score for score in known[: max(1, len(known) // 2)] if score >= least]
    assert sorted((scores[i] for i in chosen), reverse=True) == expected
    assert chosen == sorted(set(chosen))


def test_a_text_with_one_mention_keeps_it():
    assert important([{"si": 1.0}], min_si=0.0) == [0]


def test_the_ablations_choose_all_mentions_or_as_many_at_random():
    options = {"inject": "both", "min_si": 0.0}
    differ = 0
    for row in passages_of(30):
        known = [m["start"] for m in row["mentions"] if m["si"] is not None and m["triples"]]
        by = {
            how: chooser(mentions=how, **options).choose(record(row))
            for how in ("important", "random", "all")
        }
        assert [target.start for target in by["all"].targets] == known
        assert by["random"].counts["selected"] == by["important"].counts["selected"]
        assert by["random"] == chooser(mentions="random", **options).choose(record(row))
        differ += by["random"] != by["important"]
    assert differ > 5


@pytest.mark.parametrize(
    ("inject", "classes"),
    [("longtail", {True}), ("frequent", {False}), ("both", {True, False}), ("none", {True})],
)
def test_the_class_decides_which_of_the_important_mentions_are_targets(inject, classes):
    found, expected = [], []
    for row in passages_of(30):
        chosen = chooser(inject=inject).choose(record(row))
        found += [(row["id"], target.start) for target in chosen.targets]
        mentions = [row["mentions"][i] for i in important(row["mentions"], min_si=0.0)]
        expected += [(row["id"], m["start"]) for m in mentions if m["long_tail"] in classes and m["triples"]]
        assert all((target.injected is None) == (inject == "none") for target in chosen.targets)
        assert all(target.injected in (None, target.asked) for target in chosen.targets)
    assert found == expected
    assert found


def test_each_epoch_draws_a_fact_anew_and_the_same_one_again_for_the_same_epoch():
    row = max(passages_of(30), key=lambda row: max(len(m["triples"]) for m in row["mentions"]))
    drawn = Counter()
    for epoch in range(400):
        (first, again) = (chooser(inject="both").choose(record(row, epoch)).targets for _ in range(2))
        assert first == again
        drawn.update((t.qid, t.asked["r"], t.asked["other"], t.asked["direction"]) for t in first)
    facts = {m["qid"]: m["triples"] for m in row["mentions"]}
    for qid in {key[0] for key in drawn}:
        counts = [drawn[qid, f["r"], f["other"], f["direction"]] for f in facts[qid]]
        assert min(counts) > 0.4 * 400 / len(counts)


def test_what_is_not_chosen_is_counted():
    row = passages_of(1, mentions=6)[0]
    for mention in row["mentions"]:
        mention["long_tail"] = True
    row["mentions"][0]["si"] = None
    first = important(row["mentions"], min_si=0.0)[0]
    row["mentions"][first]["triples"] = []
    chosen = chooser().choose(record(row))
    assert chosen.counts == {"mentions": 6, "without_importance": 1, "selected": 2, "without_fact": 1}
    assert len(chosen.targets) == 1


def test_facts_without_vectors_are_never_drawn():
    rows = passages_of(30)
    for row in rows:
        for target in chooser(known=lambda fact: fact["r"] == "P17").choose(record(row)).targets:
            assert target.asked["r"] == "P17"


def test_in_text_asks_for_entities_of_the_passage_and_none_that_asks_itself():
    asked = 0
    for row in passages_of(80, mentions=8):
        targets = chooser(inject="both", in_text=True).choose(record(row)).targets
        answers = {target.asked["other"] for target in targets}
        assert answers <= {mention["qid"] for mention in row["mentions"]}
        assert not answers & {target.qid for target in targets}
        asked += len(targets)
    assert asked > 10


def test_a_share_of_the_passages_has_nothing_injected_and_another_share_each_epoch():
    rows = passages_of(60)
    by_epoch = []
    for epoch in (0, 1):
        mixed = [chooser(plain_share=0.4).choose(record(row, epoch)).targets for row in rows]
        whole = [chooser().choose(record(row, epoch)).targets for row in rows]
        plain = set()
        for i, (some, full) in enumerate(zip(mixed, whole, strict=True)):
            assert [target.asked for target in some] == [target.asked for target in full]
            kinds = {target.injected is None for target in some}
            assert len(kinds) <= 1
            plain |= {i} if True in kinds else set()
            assert True in kinds or some == full
        by_epoch.append(plain)
        assert 12 < len(plain) < 36
    assert by_epoch[0] != by_epoch[1]


def test_another_fact_than_the_one_told_is_injected():
    injected = nothing = 0
    for row in passages_of(60):
        told = {mention["qid"] for mention in row["mentions"]}
        facts = {mention["start"]: mention["triples"] for mention in row["mentions"]}
        for target in chooser(inject="both", injected_fact="another").choose(record(row)).targets:
            own = {target.asked["other"], *told}
            others = [fact for fact in facts[target.start] if fact["other"] not in own]
            if target.injected is None:
                assert not others
                nothing += 1
            else:
                assert target.injected in others
                injected += 1
    assert injected > 20
    assert nothing
