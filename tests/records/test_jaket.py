"""JAKET's entities: descriptions, windows, categories, and the edges that would give them away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.records.jaket import category, describe, is_category_edge, keep_entity


def words(texts):
    return [len(text.split()) for text in texts]


def row(text, surface, qid="Q1"):
    start = text.index(surface)
    return {
        "page_id": 7,
        "text": text,
        "mentions": [{"start": start, "end": start + len(surface), "qid": qid}],
    }


def described(*, tally=None, **kwargs):
    arguments = {
        "sources": ("page_head", "text_table", "first_mention"),
        "page_head": None,
        "text": None,
        "first_mention": None,
        "names": ["Rome", "Eternal City"],
        "max_tokens": 64,
        "window": "mention",
        "count_tokens": words,
        "tally": tally or Tally(),
    }
    return describe("Q1", **(arguments | kwargs))


def mention_of(found):
    return found["text"][found["start"] : found["end"]]


def test_the_first_source_that_has_a_text_wins():
    sources = {
        "page_head": row("Rome is the capital of Italy.", "Rome"),
        "text": "The capital of Italy.",
        "first_mention": row("They went to Rome.", "Rome"),
    }
    head = described(**sources)
    assert (head["text"], head["page"]) == ("Rome is the capital of Italy.", 7)
    found = described(**sources, sources=("text_table",))
    assert found == {"qid": "Q1", "text": "The capital of Italy.", "start": None, "end": None, "page": None}
    found = described(**sources, sources=("first_mention", "page_head"))
    assert (found["text"], mention_of(found)) == ("They went to Rome.", "Rome")
    assert described() is None


def test_the_own_mention_is_that_of_the_entity():
    head = row("Italy has Rome as capital.", "Rome")
    head["mentions"].insert(0, {"start": 0, "end": 5, "qid": "Q38"})
    assert mention_of(described(page_head=head, names=[])) == "Rome"


def test_the_longest_name_that_stands_as_words_is_the_mention():
    assert mention_of(described(text="Romeo loved rome, the ETERNAL city.")) == "ETERNAL city"
    assert mention_of(described(text="Romeo loved rome, an old city.")) == "rome"


def test_a_bare_name_is_no_description():
    tally = Tally()
    found = described(text=" rome.", first_mention=row("They went to Rome.", "Rome"), tally=tally)
    assert found["text"] == "They went to Rome."
    assert tally.drops["description_is_name"] == 1
    assert tally.counts["described_by_first_mention"] == 1
    assert described(text="Eternal City") is None


def test_a_bare_mention_is_no_description():
    tally = Tally()
    entry = row("de Waal, Thomas.", "de Waal, Thomas")
    assert described(first_mention=entry, tally=tally) is None
    assert tally.drops["description_is_name"] == 1


def test_a_long_description_is_cut_around_the_mention():
    text = " ".join(["before"] * 50 + ["(Rome)"] + ["after"] * 50)
    found = described(text=text, max_tokens=5)
    assert found["text"] == "before before (Rome) after after"
    assert mention_of(found) == "Rome"
    assert described(text="Rome " + "after " * 50, max_tokens=3)["text"] == "Rome after after"
    assert described(text="one two three four", max_tokens=3)["text"] == "one two three"


def test_the_first_tokens_are_kept_where_the_print_is_asked_for():
    text = " ".join(["before"] * 3 + ["(Rome)"] + ["after"] * 50)
    found = described(text=text, max_tokens=5, window="first")
    assert found["text"] == "before before before (Rome) after"
    assert mention_of(found) == "Rome"
    tally = Tally()
    found = described(text=text, max_tokens=3, window="first", tally=tally)
    assert found == {"qid": "Q1", "text": "before before before", "start": None, "end": None, "page": None}
    assert tally.counts["description_without_mention"] == 1
    # A head passage's own mention counts by the same rule.
    head = row("An old city is Rome.", "Rome")
    assert described(page_head=head, max_tokens=2, window="first")["start"] is None
    assert described(page_head=head, max_tokens=2)["text"] == "is Rome."


def test_a_description_without_spaces_is_cut_between_characters():
    head = row("罗马是意大利的首都和最大城市。", "意大利")
    found = described(page_head=head, names=[], max_tokens=5, count_tokens=lambda texts: [*map(len, texts)])
    assert (found["text"], mention_of(found)) == ("是意大利的", "意大利")


@given(
    st.lists(st.sampled_from(["a", "Ω,", "北京", "\n", "(x)"]), max_size=20),
    st.lists(st.sampled_from(["b", "é.", "城", "\t"]), max_size=20),
    st.integers(1, 12),
)
def test_the_window_holds_the_mention_and_fits(before, after, max_tokens):
    text = " ".join([*before, "Rome", *after])
    found = described(text=text + " !", max_tokens=max_tokens)
    assert mention_of(found) == "Rome"
    assert len(found["text"].split()) <= max_tokens
    assert found["text"] in text + " !"


def test_category_is_the_most_frequent_then_the_smallest_id():
    assert category(["Q10", "Q9", "Q515"], frequency={"Q515": 3, "Q10": 2}) == "Q515"
    assert category(["Q10", "Q9"], frequency={}) == "Q9"
    assert category([], frequency={}) is None


@pytest.mark.parametrize(
    ("described", "neighbours", "mentions", "kept"),
    [(True, 5, 0, True), (True, 0, 5, True), (True, 4, 4, False), (False, 9, 9, False)],
)
def test_which_entities_are_kept(described, neighbours, mentions, kept):
    assert keep_entity(has_description=described, neighbours=neighbours, mentions=mentions) is kept


def test_every_class_edge_of_a_categorised_entity_is_left_out():
    categories = {"Q1": "Q515", "Q2": None}
    assert is_category_edge(("Q1", "P31", "Q515"), categories, "P31")
    assert is_category_edge(("Q1", "P31", "Q9"), categories, "P31")
    assert not is_category_edge(("Q1", "P36", "Q515"), categories, "P31")
    assert not is_category_edge(("Q2", "P31", "Q9"), categories, "P31")
    assert is_category_edge(("Q1", "P279", "Q9"), categories, "P279")
