from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluate.fine_tuning.tagging import entities, entity_scores

TAG = st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("PER", "LOC"))])
SENTENCE = st.lists(TAG, max_size=12)


def conlleval(tags):
    """Chunks by conlleval's tables of when one ends and when one begins; seqeval's default mode."""
    found, begun = set(), None
    previous, previous_kind = "O", ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, kind = tag[0], tag[2:]
        ends = (
            previous in "ES"
            or (previous in "BI" and prefix in "BSO")
            or (previous != "O" and previous_kind != kind)
        )
        begins = (
            prefix in "BS"
            or (previous in "ESO" and prefix in "EI")
            or (prefix != "O" and previous_kind != kind)
        )
        if begun is not None and ends:
            found.add((previous_kind, begun, i))
            begun = None
        if begins:
            begun = i
        previous, previous_kind = prefix, kind
    return found


@given(SENTENCE)
def test_entities_are_conlleval_s(tags):
    found = list(entities(tags))
    assert len(found) == len(set(found))
    assert set(found) == conlleval(tags)


def test_the_schemes_are_read_alike():
    expected = [("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5)]
    for text in (
        "I-PER I-PER O I-LOC B-LOC",
        "B-PER I-PER O B-LOC B-LOC",
        "B-PER E-PER O S-LOC S-LOC",
        "I-PER E-PER O E-LOC E-LOC",
    ):
        assert list(entities(text.split())) == expected


@given(
    st.lists(
        st.integers(0, 8).flatmap(lambda n: st.tuples(*[st.lists(TAG, min_size=n, max_size=n)] * 2)),
        min_size=1,
    )
)
def test_f1_counts_whole_entities_over_all_sentences(pairs):
    right = said = known = 0
    for gold, predicted in pairs:
        right += len(conlleval(gold) & conlleval(predicted))
        said += len(conlleval(predicted))
        known += len(conlleval(gold))
    precision, recall = right / said if said else 0.0, right / known if known else 0.0
    expected = 2 * precision * recall / (precision + recall) if right else 0.0
    found = entity_scores(*zip(*pairs, strict=True))
    assert abs(found["f1"] - expected) < 1e-12
    assert (found["precision"], found["recall"]) == (precision, recall)
