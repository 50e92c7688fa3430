from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tables import TABLES
from kgcorpus.records.kmlm import Item, render_sentences
from kgcorpus.tokens import ensure_tokens, slots, tokenize_rows, tokenizer_key
from tests.tokenizers import unigram_tokenizer
from tests.trainer.toy import rows_of, sentence_rows, write_corpus

TRIPLE = ("St. Ann a", "born | died", "R. K. b")


def tokenizer_of(kind, mask="[MASK]"):
    """One tokenizer of each family: words, bytes with a space in front, pieces that swallow the space."""
    if kind == "unigram":
        return unigram_tokenizer(mask)
    model, specials = models.BPE(), ["<s>", "</s>", "<pad>", mask]
    splitter = {
        "words": pre_tokenizers.Whitespace(),
        "bytes": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "pieces": pre_tokenizers.Metaspace(),
    }[kind]
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = splitter
    texts = [row["text"] for rows in rows_of(40).values() for row in rows]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([text.replace("[mask]", " ") for text in texts], trainer)
    tokenizer.post_processor = (
        processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
        if kind == "bytes"
        else processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    )
    return tokenizer


def tokens_of(rows, tokenizer, name="reasoning", mask="[MASK]"):
    batch = pa.RecordBatch.from_pylist(rows, schema=TABLES[name].schema)
    return tokenize_rows(batch, tokenizer, mask_token=mask).to_pylist()


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
@pytest.mark.parametrize("mask", ["[MASK]", "<mask>", "¤"])
def test_the_tokens_of_a_slot_spell_its_label(kind, mask):
    tokenizer = tokenizer_of(kind, mask)
    (row,) = sentence_rows("cycle3", [[TRIPLE, TRIPLE[::-1][:1] + TRIPLE[1:2] + TRIPLE[:1]]], prefix="r")
    (tokens,) = tokens_of([row], tokenizer, mask=mask)
    for slot in row["slots"]:
        own = [
            tokenizer.id_to_token(i)
            for i, k, s in zip(tokens["ids"], tokens["slot"], tokens["sentence"], strict=True)
            if (k, s) == (slot["slot"], slot["sentence"])
        ]
        spelled = "".join(own).replace("Ġ", "").replace("▁", "")
        label = row["text"][slot["start"] : slot["end"]].replace(" ", "")
        # A piece may hold a label's end and the full stop behind it.
        assert spelled in (label, label + "." if kind == "pieces" and slot["slot"] == 3 else label)


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
def test_links_become_the_mask_and_stand_outside_every_slot(kind):
    tokenizer = tokenizer_of(kind)
    (tokens,) = tokens_of(sentence_rows("code_switched", [[TRIPLE]], prefix="r"), tokenizer)
    mask = tokenizer.token_to_id("[MASK]")
    assert tokens["ids"].count(mask) == 2
    assert all(
        (slot, sentence) == (0, -1)
        for i, slot, sentence in zip(tokens["ids"], tokens["slot"], tokens["sentence"], strict=True)
        if i in (0, 1, mask)
    )


def row_of(*triples):
    sentences = [tuple(Item(name, "Q1", "en") for name in triple) for triple in triples]
    text, spans = render_sentences(sentences)
    return {"id": "r", "lang": "en", "kind": "cycle3", "text": text, "triples": [], "slots": spans}


SPELLED = ("<s>", "</s>", "<pad>", "[MASK] tape", "a<mask>b", "[mask]", "x [MASK]", "</s></s>")


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
@pytest.mark.parametrize("mask", ["[MASK]", "<mask>"])
@pytest.mark.parametrize("beside", [False, True])
@settings(max_examples=15)
@given(label=st.tuples(*[st.sampled_from([*SPELLED, "St. Ann"])] * 3))
def test_a_label_that_spells_a_special_token_is_text_in_its_slot(kind, mask, beside, label):
    tokenizer = tokenizer_of(kind, mask)
    # RoBERTa's mask token takes the space before it.
    tokenizer.add_special_tokens([AddedToken(mask, lstrip=beside, rstrip=False, special=True)])
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    row = row_of(label, TRIPLE)
    (tokens,) = tokens_of([row], tokenizer, mask=mask)
    assert tokens["ids"].count(tokenizer.token_to_id(mask)) == 4
    assert (tokens["ids"][0], tokens["ids"][-1]) == (0, 1)
    assert {tokens["ids"].index(i) for i in special & set(tokens["ids"])} == {
        0,
        len(tokens["ids"]) - 1,
        tokens["ids"].index(tokenizer.token_to_id(mask)),
    }
    for slot in row["slots"]:
        own = [
            i
            for i, k, s in zip(tokens["ids"], tokens["slot"], tokens["sentence"], strict=True)
            if (k, s) == (slot["slot"], slot["sentence"])
        ]
        assert not special & set(own)
        spelled = "".join(map(tokenizer.id_to_token, own)).replace("Ġ", "").replace("▁", "")
        assert spelled.startswith(row["text"][slot["start"] : slot["end"]].replace(" ", ""))


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
@pytest.mark.parametrize("beside", [False, True])
def test_pieces_between_links_have_the_tokens_of_the_whole_text(kind, beside):
    tokenizer = tokenizer_of(kind)
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=beside, special=True)])
    row = row_of(TRIPLE, ("b", "a  c", "d"))
    spans = np.array([[s["start"], s["end"], s["slot"], s["sentence"]] for s in row["slots"]])
    text, moved = slots._mask_links(row["text"], spans, "[MASK]")
    whole, apart = tokenizer.encode(text), slots._encode_apart(row["text"], spans, tokenizer, "[MASK]")
    assert apart.ids == whole.ids
    for found in zip(slots._locate(apart, moved), slots._locate(whole, moved), strict=True):
        assert found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
def test_running_text_that_spells_special_tokens_is_text(kind):
    tokenizer = tokenizer_of(kind)
    row = {"id": "a", "lang": "en", "text": "The <s> element, </s> and [MASK]."}
    (tokens,) = tokens_of([row], tokenizer, "plain_text")
    assert [i for i in tokens["ids"] if i < 4] == [0, 1]


@pytest.mark.parametrize("spelled", ["<s>", "a</s>", "<pad>", "b <mask> c", "＜ｓ＞", "＜ｍａｓｋ＞ a"])
def test_special_tokens_among_a_unigram_models_pieces_are_text(spelled):
    tokenizer = unigram_tokenizer()
    row = {"id": "a", "lang": "en", "text": f"The {spelled} element"}
    passages = [passage(f"The {spelled} element", "element")]
    (slotted,) = tokens_of([row_of((spelled, "b", "c"), TRIPLE)], tokenizer, mask="<mask>")
    assert [i for i in slotted["ids"] if i in (0, 1, 2, 4)] == [0, 4, 4, 4, 4, 1]
    assert all(s == 0 for i, s in zip(slotted["ids"], slotted["slot"], strict=True) if i == 4)
    for table, rows in (("plain_text", [row]), ("jaket_text", passages)):
        (tokens,) = tokens_of(rows, tokenizer, table, mask="<mask>")
        assert [i for i in tokens["ids"] if i in (0, 1, 2, 4)] == [0, 1]
        assert 3 in tokens["ids"]


def test_a_link_inside_a_label_is_text():
    (row,) = sentence_rows("code_switched", [[TRIPLE]], prefix="r")
    row["text"] = row["text"].replace("St. Ann a", "[mask] an")
    tokenizer = tokenizer_of("words")
    (tokens,) = tokens_of([row], tokenizer)
    assert tokens["ids"].count(tokenizer.token_to_id("[MASK]")) == 2


def test_an_empty_label_has_no_tokens():
    (row,) = sentence_rows("code_switched", [[TRIPLE]], prefix="r")
    row["slots"][1]["end"] = row["slots"][1]["start"]
    (tokens,) = tokens_of([row], tokenizer_of("words"))
    assert 2 not in tokens["slot"]


def passage(text, *names):
    mentions = [
        {"start": text.index(n), "end": text.index(n) + len(n), "qid": f"Q{i}", "confidence": 1.0}
        for i, n in enumerate(names)
    ]
    return {"id": text[:5], "lang": "en", "text": text, "mentions": mentions}


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
def test_a_mention_stands_on_its_own_tokens_and_keeps_its_fields(kind):
    tokenizer = tokenizer_of(kind)
    texts = [("a river flows through Bo a", "Bo a", "river"), ("nothing",), ("Ulm é Ulm. ", "Ulm", "é")]
    rows = [passage(*text) for text in texts]
    for row, tokens in zip(rows, tokens_of(rows, tokenizer, "jaket_text"), strict=True):
        assert [m["qid"] for m in tokens["mentions"]] == [m["qid"] for m in row["mentions"]]
        encoding = tokenizer.encode(row["text"])
        assert tokens["ids"] == encoding.ids
        assert tokens["tokens"] == len(encoding.ids)
        for mention, span in zip(row["mentions"], tokens["mentions"], strict=True):
            inside = [
                i
                for i, (a, b) in enumerate(encoding.offsets)
                if set(range(a, b)) & set(range(mention["start"], mention["end"]))
            ]
            assert (span["start"], span["end"]) == (inside[0], inside[-1] + 1)


def test_a_mention_without_a_token_is_left_out():
    # The splitter drops spaces, so a mention of one has no token.
    row = passage("Ulm Bo", " ", "Bo")
    (tokens,) = tokens_of([row], tokenizer_of("words"), "jaket_text")
    assert [m["qid"] for m in tokens["mentions"]] == ["Q1"]


def test_a_description_carries_its_own_mention_or_none():
    rows = [
        {"qid": "Q1", "text": "Ulm lies", "start": 0, "end": 3, "category": "Q5"},
        {"qid": "Q2", "text": "Bo lies", "start": None, "end": None, "category": None},
    ]
    first, second = tokens_of(rows, tokenizer_of("words"), "jaket_entities")
    assert first["start"] == 1
    assert first["end"] < first["tokens"] - 1
    assert first["category"] == "Q5"
    assert (second["qid"], second["start"], second["end"]) == ("Q2", None, None)


def test_padding_and_truncation_of_the_tokenizer_are_ignored(tmp_path):
    corpus = write_corpus(tmp_path, {"plain_text": rows_of(10)["plain_text"]})
    tokenizer = tokenizer_of("words")
    plain = ensure_tokens(corpus, "plain_text", tokenizer, mask_token="[MASK]")
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=50)
    assert ensure_tokens(corpus, "plain_text", tokenizer, mask_token="[MASK]") == plain
    assert min(pq.read_table(plain["train"][0])["tokens"].to_pylist()) > 4


def test_the_cache_is_kept_until_its_shard_changes(tmp_path):
    rows = rows_of(20)
    corpus = write_corpus(tmp_path, rows)
    path = tmp_path / "tokenizer.json"
    tokenizer = tokenizer_of("words")
    tokenizer.save(str(path))
    first = ensure_tokens(corpus, "code_switched", path, mask_token="[MASK]", splits=["train"])
    assert [file.parent for file in first["train"]] == [
        corpus / "tokens" / tokenizer_key(tokenizer) / "code_switched"
    ] * 2
    ids = [row["id"] for file in first["train"] for row in pq.read_table(file).to_pylist()]
    before = [file.stat().st_mtime_ns for file in first["train"]]
    ensure_tokens(corpus, "code_switched", path, mask_token="[MASK]", splits=["train"])
    assert [file.stat().st_mtime_ns for file in first["train"]] == before
    rows["code_switched"] = [{**row, "id": "new" + row["id"]} for row in rows["code_switched"]]
    write_corpus(tmp_path, rows)
    second = ensure_tokens(corpus, "code_switched", path, mask_token="[MASK]", splits=["train"])
    again = [row["id"] for file in second["train"] for row in pq.read_table(file).to_pylist()]
    assert again == ["new" + name for name in ids]


@pytest.mark.parametrize("length", [0, -20, None])
def test_a_damaged_file_of_the_cache_is_made_again(tmp_path, length):
    corpus = write_corpus(tmp_path, rows_of(30))
    ask = partial(ensure_tokens, corpus, "reasoning", tokenizer_of("words"), mask_token="[MASK]")
    file, *others = ask(splits=["train"])["train"]
    whole = file.read_bytes()
    # None: one bit of a page, which Arrow would read as another record.
    flipped = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
    file.write_bytes(flipped if length is None else whole[:length])
    assert ask(splits=["train"])["train"] == [file, *others]
    assert file.read_bytes() == whole


def test_a_config_that_was_not_built_has_no_files_and_a_lost_shard_is_an_error(tmp_path):
    corpus = write_corpus(tmp_path, {"plain_text": rows_of(5)["plain_text"]})
    tokenizer = tokenizer_of("words")
    assert ensure_tokens(corpus, "reasoning", tokenizer, mask_token="[MASK]", splits=["train"]) == {
        "train": []
    }
    next((corpus / "data" / "plain_text").iterdir()).unlink()
    with pytest.raises(InputError, match="missing"):
        ensure_tokens(corpus, "plain_text", tokenizer, mask_token="[MASK]")
