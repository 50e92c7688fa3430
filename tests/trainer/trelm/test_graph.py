"""The tokens of labels."""

import pyarrow as pa

from kgcorpus.kg.names import LabelIndex
from tests.tokenizers import unigram_tokenizer
from trainer.tokenizer import make_tokenizer
from trainer.trelm.graph import LabelTokens


def test_a_label_that_spells_special_tokens_is_text(tmp_path):
    labels = {"Q1": "Paris", "Q2": "[MASK] of Paris [SEP]"}
    tokenizer = make_tokenizer(list(labels.values()), vocab_size=300, max_length=32)
    rows = [
        {"qid": qid, "names": [{"lang": "en", "label": label, "aliases": []}]}
        for qid, label in labels.items()
    ]
    tokens = LabelTokens(
        LabelIndex.from_rows(rows, "qid"), "en", tokenizer.backend_tokenizer, tmp_path / "cache"
    )
    assert not set(tokens.of("Q2")) & set(tokenizer.all_special_ids)
    found = tokens.rows(pa.array(["Q1", "Q2", "Q3"]))
    assert tokens.lengths(found).tolist() == [len(tokens.of("Q1")), len(tokens.of("Q2")), 0]
    assert len(tokens.of("Q2")) > len(tokens.of("Q1")) > 0


def test_special_tokens_among_a_unigram_models_pieces_are_text(tmp_path):
    names = [{"lang": "en", "label": "a <s> ＜ｍａｓｋ＞ b", "aliases": []}]
    graph = LabelIndex.from_rows([{"qid": "Q1", "names": names}], "qid")
    tokens = LabelTokens(graph, "en", unigram_tokenizer(), tmp_path / "cache")
    assert [token for token in tokens.of("Q1") if token < 5] == [3, 3]
