import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from kgcorpus.contracts.errors import InputError
from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import damage_pages
from tests.trainer.trelm.world import passages_of
from trainer.trelm.config import MemoryConfig, TrelmConfig
from trainer.trelm.inventory import WordFinder, take_inventory


def wordpiece():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "riv", "##er", "old", "17", ".", "er"]
    backend = Tokenizer(models.WordPiece({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]"
    )


def test_words_are_found_in_wordpiece_tokens():
    ids = np.array([2, 5, 6, 7, 8, 9, 10, 5, 6, 3], np.int32)  # [CLS] river old 17 . er river [SEP]
    words = WordFinder(wordpiece()).find(ids)
    assert list(zip(words.starts.tolist(), words.ends.tolist(), strict=True)) == [
        (0, 1), (1, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 9), (9, 10),
    ]  # fmt: skip
    assert words.content.tolist() == [False, True, True, False, False, True, True, False]
    hashes = words.hashes.tolist()
    assert hashes[1] == hashes[6]
    assert len(set(hashes)) == 7


def test_words_are_found_in_byte_level_tokens(tokenizer):
    text = "Dora Prag sang of West Borland 17 again."
    ids = np.array(tokenizer(text)["input_ids"], np.int32)
    words = WordFinder(tokenizer).find(ids)
    spans = zip(words.starts.tolist(), words.ends.tolist(), words.content.tolist(), strict=True)
    found = [tokenizer.decode(ids[start:end]).strip() for start, end, content in spans if content]
    assert found == ["Dora", "Prag", "sang", "of", "West", "Borland", "again"]


def test_no_token_no_word(tokenizer):
    assert len(WordFinder(tokenizer).find(np.empty(0, np.int32)).starts) == 0


@pytest.mark.parametrize(
    ("inject", "remainders"), [("longtail", {1, 2}), ("frequent", {0}), ("both", {0, 1, 2})]
)
def test_the_inventory_is_that_of_the_texts(files, tokenizer, inject, remainders):
    rows = passages_of(60)
    config = TrelmConfig(inject=inject, min_si=0.25, memory=MemoryConfig(word_quantiles=(0.0, 0.5)))
    found = take_inventory(
        files, config, words=WordFinder(tokenizer), vocabulary=len(tokenizer), special_ids=[0, 1, 2, 3, 4]
    )
    mentioned = {m["qid"] for row in rows for m in row["mentions"]}
    assert found.entities == tuple(sorted(q for q in mentioned if int(q[1:]) % 3 in remainders))
    scores = np.array([m["si"] for row in rows for m in row["mentions"]], np.float32)
    assert found.min_si == pytest.approx(np.quantile(scores, 0.25))
    ids = [i for row in rows for i in tokenizer(row["text"], add_special_tokens=False)["input_ids"]]
    assert found.unigrams.tolist() == np.bincount(ids, minlength=len(tokenizer)).tolist()
    assert found.counts["mentions"] == 240
    assert found.counts["records"] == 60


def test_long_tail_words_are_those_of_the_band(files, tokenizer):
    finder, words = WordFinder(tokenizer), {}
    for row in passages_of(60):
        ids = np.array(tokenizer(row["text"])["input_ids"], np.int32)
        parts = finder.find(ids)
        for start, end, content in zip(parts.starts, parts.ends, parts.content, strict=True):
            if content:
                words.setdefault(tuple(ids[start:end].tolist()), []).append(1)
    total = sum(map(len, words.values()))
    low, high = 3, 9

    def found(**memory):
        config = TrelmConfig(memory=MemoryConfig(**memory))
        kept = take_inventory(
            files, config, words=finder, vocabulary=len(tokenizer), special_ids=[0, 1, 2, 3, 4]
        )
        return set(kept.words.tolist())

    expected = {
        finder.find(np.array(word, np.int32)).hashes[0] for word, n in words.items() if low <= len(n) <= high
    }
    share = 1e6 / total
    assert found(words_per_million=(low * share * 0.99, high * share * 1.01)) == expected
    assert expected
    counts = np.array([len(n) for n in words.values()])
    band = np.quantile(counts, [0.3, 0.7])
    assert len(found()) == ((counts >= max(2, band[0])) & (counts <= band[1])).sum()
    assert not found(enabled=False)


def test_held_out_passages_are_not_counted(world, files, tokenizer):
    every = ensure_tokens(world, "trelm", tokenizer.backend_tokenizer, mask_token="[MASK]")
    assert every["train"] == files
    assert every["test"]


def test_a_damaged_token_file_is_told(tmp_path, files, tokenizer):
    file = Path(shutil.copy(files[0], tmp_path))
    damage_pages(file)
    with pytest.raises(InputError, match=rf"{file}: cannot be read .*Delete it and run the same command"):
        take_inventory(
            [file],
            TrelmConfig(),
            words=WordFinder(tokenizer),
            vocabulary=len(tokenizer),
            special_ids=[],
        )
