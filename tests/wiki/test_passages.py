"""Passages hold every sentence once, and mentions keep their text."""

import json
from random import Random

import pyarrow as pa
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.tokenizers import treatment_of_spaces
from kgcorpus.wiki.passages import Kind, TokenCounter, passage_batches


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


def build(rows, *, max_tokens=6, min_entities=0, counter=None, tally=None, **kwargs):
    sentences = pa.RecordBatch.from_pylist(rows, schema=TABLES["linked_sentences"].schema)
    kinds = [Kind("trelm", max_tokens, min_entities)]
    made = passage_batches(
        sentences, kinds=kinds, counter=counter or TokenCounter(words), tally=tally or Tally(), **kwargs
    )
    return sorted(
        (row for batch in made for row in batch.to_pylist()),
        key=lambda passage: int(passage["passage_id"].rpartition(":")[2]),
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
    passages = build(rows, max_tokens=max_tokens, counter=TokenCounter(joining, added), tally=tally)
    assert [i for p in passages for i in p["sentence_ids"]] == [r["sentence_id"] for r in rows]
    for passage in passages:
        assert passage["tokens"] == joining([passage["text"]])[0]
        assert passage["tokens"] + added <= max_tokens or len(passage["sentences"]) == 1
    assert tally.counts["long_sentence"] == sum(p["tokens"] + added > max_tokens for p in passages)


_PRE_TOKENIZERS = {
    "bert": ({"type": "BertPreTokenizer"}, (True, True)),
    "roberta": (
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        (True, False),
    ),
    "xlm-r": (
        {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        (True, True),
    ),
    "words": (
        {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}],
        },
        (True, True),
    ),
    "one piece": (None, (False, False)),
}


def tokenizer(pre_tokenizer):
    """A BPE whose merges join letters, points and spaces wherever the pre-tokenizer lets them."""
    letters = ["a", "b", ".", "'", "s", " ", "\u2581", "\u0120", "[", "]"]
    merges = [
        ("a", "b"),
        (" ", "a"),
        (".", " "),
        ("\u2581", "a"),
        ("\u0120", "a"),
        ("\u0120a", "b"),
        ("'", "s"),
    ]
    words = [*letters, *dict.fromkeys("".join(pair) for pair in merges)]
    model = {"type": "BPE", "vocab": {word: i for i, word in enumerate(words)}, "unk_token": "a"}
    model["merges"] = [list(pair) for pair in merges]
    parts = {"normalizer": {"type": "NFC"}, "pre_tokenizer": pre_tokenizer, "model": model}
    state = {"version": "1.0", "added_tokens": [], "post_processor": None, "decoder": None, **parts}
    return tokenizers.Tokenizer.from_str(json.dumps(state))


@pytest.mark.parametrize("name", _PRE_TOKENIZERS)
@given(
    texts=st.lists(
        st.text("ab.'s[]\u0301", min_size=1).map(str.strip).filter(bool) | st.just("a b  ab."),
        min_size=1,
        max_size=9,
    ),
    max_tokens=st.integers(1, 12),
    lang=st.sampled_from(["en", "zh"]),
)
def test_lengths_by_sentences_are_those_of_the_whole_passages(name, texts, max_tokens, lang):
    pre_tokenizer, treatment = _PRE_TOKENIZERS[name]
    loaded = tokenizer(pre_tokenizer)
    assert treatment_of_spaces(loaded) == treatment

    def count(texts):
        return [len(found) for found in loaded.encode_batch_fast(texts, add_special_tokens=False)]

    rows = [row(i, text, lang=lang) for i, text in enumerate(texts)]
    fast = build(rows, max_tokens=max_tokens, counter=TokenCounter(count, 0, *treatment))
    assert fast == build(rows, max_tokens=max_tokens, counter=TokenCounter(count))
    assert [passage["tokens"] for passage in fast] == count([passage["text"] for passage in fast])


def test_a_token_that_takes_the_space_behind_it_is_measured_in_the_whole():
    loaded = tokenizer({"type": "BertPreTokenizer"})
    assert treatment_of_spaces(loaded) == (True, True)
    loaded.add_special_tokens([tokenizers.AddedToken("[s]", rstrip=True)])
    assert treatment_of_spaces(loaded) == (False, False)


def test_pages_and_kinds_come_in_the_order_of_the_key_whatever_the_order_of_the_sentences():
    rows = [row(i, f"a{i} b.", (0, 1)) | {"page_id": page} for page in (12, 3, 10) for i in range(12)]
    sentences = pa.RecordBatch.from_pylist(rows, schema=TABLES["linked_sentences"].schema)
    kinds = [Kind("trelm", 4), Kind("jaket", 6), Kind("plain7", 7)]
    random = Random(0)
    found = []
    for text in (pa.string(), pa.string(), pa.large_string()):
        shuffled = sentences.take(random.sample(range(len(rows)), len(rows)))
        shuffled = shuffled.set_column(4, "text", shuffled.column("text").cast(text))
        made = passage_batches(
            shuffled, kinds=kinds, counter=TokenCounter(words), tally=Tally(), rows=random.randint(1, 50)
        )
        found.append([passage for batch in made for passage in batch.to_pylist()])
    assert found[0] == found[1] == found[2]
    keys = [tuple(passage[name] for name in TABLES["passages"].key) for passage in found[0]]
    assert keys == sorted(keys)
    for kind in kinds:
        own = [passage for passage in found[0] if passage["kind"] == kind.name]
        assert sum(len(passage["sentences"]) for passage in own) == len(rows)
        assert all(passage["tokens"] == words([passage["text"]])[0] <= kind.max_tokens for passage in own)
