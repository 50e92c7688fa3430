import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.importance.pretrained import read_tokenizer
from trainer.tokenizer import make_tokenizer

TEXTS = [
    "Marie Curie was born in Warsaw. Marie Curie worked in Paris, the capital of France.",
    "パリはフランスの首都です。東京タワーは東京にあります。",
    "巴黎是法国的首都。东京是日本的首都。",
    "파리는 프랑스의 수도이다. 서울은 대한민국의 수도이다.",
    "Hà Nội là thủ đô của Việt Nam. Việt Nam và Hà Nội.",
    "München liegt in Bayern; Straße, é, Köln 1999, 2001 und 1999.",
]


def is_space(character: str) -> bool:
    """Unicode's White_Space; Python counts four separators of ASCII as well."""
    return character.isspace() and character not in "\x1c\x1d\x1e\x1f"


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer(TEXTS, vocab_size=400, max_length=128)


def test_the_same_texts_give_the_same_file_in_another_process(tokenizer):
    code = (
        "import sys; from trainer.tokenizer import make_tokenizer\n"
        f"tok = make_tokenizer({TEXTS!r}, vocab_size=400, max_length=128)\n"
        "sys.stdout.buffer.write(tok.backend_tokenizer.to_str().encode())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.decode() == tokenizer.backend_tokenizer.to_str()


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(TEXTS))
def test_every_visible_character_lies_in_a_token_and_comes_back(tokenizer, text):
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ends = [0]
    for start, end in encoded["offset_mapping"]:
        assert 0 <= start < end <= len(text)
        assert start >= ends[-1] - 1  # tokens of one character's bytes share its span
        ends.append(end)
    covered = {i for start, end in encoded["offset_mapping"] for i in range(start, end)}
    assert covered == {i for i, c in enumerate(text) if not is_space(c)}
    decoded = tokenizer.decode(encoded["input_ids"])
    assert [c for c in decoded if not is_space(c)] == [c for c in text if not is_space(c)]
    assert tokenizer.unk_token_id not in encoded["input_ids"]


def test_a_label_has_the_same_tokens_alone_and_in_a_sentence(tokenizer):
    for text, label in [
        (TEXTS[0], "Paris"),
        (TEXTS[1], "東京タワー"),
        (TEXTS[2], "日本"),
        (TEXTS[4], "Việt Nam"),
    ]:
        encoded = tokenizer(text, return_offsets_mapping=True)
        start = text.index(label)
        inside = [
            i
            for i, (a, b) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
            if start <= a < b <= start + len(label)
        ]
        assert inside == tokenizer(label, add_special_tokens=False)["input_ids"]


def test_words_end_where_the_script_changes(tokenizer):
    text = "東京タワーの1999年Köln"
    encoded = tokenizer(text, add_special_tokens=False)
    words = [encoded.word_to_chars(word) for word in sorted(set(encoded.word_ids()))]
    assert [text[start:end] for start, end in words] == ["東", "京", "タワー", "の", "1999", "年", "Köln"]


def test_mask_frame_and_pair(tokenizer):
    ids = tokenizer("in [MASK], Paris")["input_ids"]
    assert ids.count(tokenizer.mask_token_id) == 1
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    pair = tokenizer("Paris", "Köln")
    assert pair["input_ids"].count(tokenizer.sep_token_id) == 2
    assert pair["token_type_ids"][0] == 0
    assert pair["token_type_ids"][-1] == 1


def test_opens_with_bare_transformers_beside_a_model(tokenizer, tmp_path):
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    BertForMaskedLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert opened.is_fast
    assert opened.model_max_length == 128
    for text in TEXTS:
        assert opened(text)["input_ids"] == tokenizer(text)["input_ids"]
        # Text of one script decodes to itself up to the spaces around signs and characters.
        decoded = opened.decode(opened(text)["input_ids"], skip_special_tokens=True)
        assert unicodedata.normalize("NFC", decoded).replace(" ", "") == text.replace(" ", "")


def test_loaded_and_saved_again_it_is_the_same_files(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "made")
    read_tokenizer(tmp_path / "made").save_pretrained(tmp_path / "again")
    for path in (tmp_path / "made").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_too_small_and_nothing_to_learn():
    with pytest.raises(UsageError, match="too small"):
        make_tokenizer(TEXTS, vocab_size=260)
    with pytest.raises(InputError, match="text"):
        make_tokenizer([], vocab_size=300)
