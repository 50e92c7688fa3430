"""The encoder that ships with the demo: small, opens with bare transformers, learnt from the demo's text."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from kgcorpus.contracts.tally import Tally
from kgcorpus.demo import world
from kgcorpus.importance.encoder import load_encoder
from kgcorpus.importance.score import score_sentences
from trainer.demo_encoder import Texts, accuracy, is_held_out, sentences
from trainer.masked_lm import PackedMaskedLM

FOLDER = world() / "encoder"


def test_small_and_open_with_bare_transformers():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 2_000_000
    assert AutoTokenizer.from_pretrained(FOLDER).is_fast
    model = AutoModel.from_pretrained(FOLDER)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_guesses_masked_tokens_of_sentences_it_never_saw():
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = PackedMaskedLM(AutoModelForMaskedLM.from_pretrained(FOLDER)).eval()
    found = sentences()
    held_out = Texts([text for text in found if is_held_out(text)], tokenizer, name="held-out")
    seen = tokenizer([text for text in found if not is_held_out(text)], add_special_tokens=False)
    commonest = int(np.bincount(np.concatenate(seen["input_ids"]).astype(np.int64)).argmax())
    share, unigram = accuracy(model, held_out, commonest=commonest)
    assert share > 3 * unigram


@pytest.mark.parametrize("replacement", ["mask", "delete"])
def test_tells_mentions_apart(replacement):
    text = "Paris, on the Seine, is the capital of France, and Victor Hugo died there."
    mentions = [
        {"start": text.index(name), "end": text.index(name) + len(name), "qid": name, "confidence": 1.0}
        for name in ("Paris", "Seine", "France", "Victor Hugo")
    ]
    row = {"sentence_id": "en:1:0", "lang": "en", "text": text, "mentions": mentions}
    tally = Tally()
    scored = score_sentences(
        [row], encoder=load_encoder(str(FOLDER)), replacement=replacement, seed=0, tally=tally
    )
    assert not tally.drops
    assert all(0.5 < one["cos"] < 0.9999 for one in scored)
    assert len({one["cos"] for one in scored}) == len(scored)
