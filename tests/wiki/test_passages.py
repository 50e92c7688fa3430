"""Passages hold every sentence once, and mentions keep their text."""

from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.passages import build_passages


def words(texts):
    return [len(text.split()) for text in texts]


def row(ordinal, text, *spans, lang="en"):
    mentions = [
        {"start": start, "end": end, "qid": f"Q{start}", "source": "anchor", "confidence": 1.0}
        for start, end in spans
    ]
    return {
        "sentence_id": f"{lang}:7:{ordinal}",
        "page_id": 7,
        "lang": lang,
        "ordinal": ordinal,
        "text": text,
        "mentions": mentions,
    }


def build(rows, *, max_tokens=6, tally=None, **kwargs):
    return list(
        build_passages(
            rows, kind="trelm", max_tokens=max_tokens, count_tokens=words, tally=tally or Tally(), **kwargs
        )
    )


def test_fills_greedily_and_rebases():
    rows = [row(0, "Rome is old.", (0, 4)), row(1, "So is Athens.", (6, 12)), row(2, "Yes.")]
    first, second = build(rows)
    assert first["text"] == "Rome is old. So is Athens."
    assert first["passage_id"] == "trelm:en:7:0"
    assert first["sentences"] == [{"start": 0, "end": 12}, {"start": 13, "end": 26}]
    assert first["sentence_ids"] == ["en:7:0", "en:7:1"]
    assert first["tokens"] == 6
    assert [first["text"][m["start"] : m["end"]] for m in first["mentions"]] == ["Rome", "Athens"]
    assert second["passage_id"] == "trelm:en:7:2"
    assert set(first) == set(TABLES["passages"].schema.names)


def test_a_long_sentence_stands_alone():
    tally = Tally()
    found = build([row(0, "One."), row(1, "a b c d e f g h"), row(2, "Two.")], tally=tally)
    assert [passage["text"] for passage in found] == ["One.", "a b c d e f g h", "Two."]
    assert tally.counts["long_sentence"] == 1


def test_chinese_is_joined_without_a_space():
    (passage,) = build([row(0, "北京。", lang="zh"), row(1, "上海。", lang="zh")])
    assert passage["text"] == "北京。上海。"


def test_filters_are_counted():
    tally = Tally()
    rows = [row(0, "Rome is very old indeed now.", (0, 4)), row(1, "Yes.")]
    assert len(build(rows, tally=tally, min_entities=1)) == 1
    assert tally.drops["few_entities"] == 1
    assert build(rows, tally=tally, min_page_characters=100) == []
    assert tally.drops["short_page"] == 1


def test_a_page_without_sentences_gives_nothing():
    assert build([]) == []


_SENTENCE = st.lists(st.sampled_from(["Rome", "é", "北京", "😀", "old"]), min_size=1, max_size=9)


@given(st.lists(_SENTENCE, max_size=12), st.integers(1, 12), st.sampled_from(["en", "zh"]))
def test_every_sentence_once_and_every_mention_keeps_its_text(sentences, max_tokens, lang):
    rows = []
    for ordinal, tokens in enumerate(sentences):
        text, start = " ".join(tokens), len(tokens[0])
        rows.append(row(ordinal, text, (0, start), lang=lang))
    passages = build(rows, max_tokens=max_tokens)
    assert [i for p in passages for i in p["sentence_ids"]] == [r["sentence_id"] for r in rows]
    texts = [p["text"][span["start"] : span["end"]] for p in passages for span in p["sentences"]]
    assert texts == [r["text"] for r in rows]
    surfaces = [p["text"][m["start"] : m["end"]] for p in passages for m in p["mentions"]]
    assert surfaces == [tokens[0] for tokens in sentences]
    for passage in passages:
        assert passage["tokens"] <= max_tokens or len(passage["sentences"]) == 1


def joining(texts):
    """Counts as a tokenizer does that knows `. ` as a token: a border of sentences has a token of its own."""
    return [len(text.split()) + text.count(". ") for text in texts]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(3, 12), st.integers(0, 2))
def test_a_passage_and_its_special_tokens_fit(lengths, max_tokens, added):
    rows = [row(i, " ".join(["a"] * (n - 1) + ["b."])) for i, n in enumerate(lengths)]
    tally = Tally()
    passages = list(
        build_passages(
            rows,
            kind="plain",
            max_tokens=max_tokens,
            count_tokens=joining,
            added_tokens=added,
            tally=tally,
        )
    )
    assert [i for p in passages for i in p["sentence_ids"]] == [r["sentence_id"] for r in rows]
    for passage in passages:
        assert passage["tokens"] == joining([passage["text"]])[0]
        assert passage["tokens"] + added <= max_tokens or len(passage["sentences"]) == 1
    assert tally.counts["long_sentence"] == sum(p["tokens"] + added > max_tokens for p in passages)
