import io
import json

import pytest
import torch
from rich.console import Console
from transformers import BertConfig, BertForMaskedLM

from kgcorpus.cli import app, run_app
from kgcorpus.contracts.errors import UsageError
from trainer.masked_lm import open_lm
from trainer.trelm.explain import Explanation, explain, save, show

CAPITALS = {"Paris": "France", "Rome": "Italy", "Oslo": "Norway", "Vienna": "Austria Hungary"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small BERT that has learned four capitals by heart."""
    from trainer.tokenizer import make_tokenizer

    sentences = [f"{city} is the capital of {country}." for city, country in CAPITALS.items()]
    tokenizer = make_tokenizer(sentences * 5, vocab_size=300, max_length=32)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        max_position_embeddings=32,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
    )
    lm = BertForMaskedLM(config)
    optimizer = torch.optim.AdamW(lm.parameters(), lr=3e-3)
    for _ in range(60):
        for city, country in CAPITALS.items():
            answer = tokenizer.encode(country, add_special_tokens=False)
            masks = tokenizer.mask_token * len(answer)
            ids = torch.tensor([tokenizer.encode(f"{city} is the capital of {masks}.")])
            logits = lm(ids).logits[ids == tokenizer.mask_token_id]
            torch.nn.functional.cross_entropy(logits, torch.tensor(answer)).backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("model")
    lm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_neurons_found_carry_the_answer(model):
    found = explain(model, "Paris is the capital of [MASK].", answer="France", top=10)
    assert found.probability > 0.5
    assert found.suppressed < 0.5 * found.probability
    scores = [neuron.score for neuron in found.top]
    assert scores == sorted(scores, reverse=True)
    assert len({(neuron.layer, neuron.neuron) for neuron in found.top}) == 10
    assert sum(layer.share for layer in found.layers) == pytest.approx(1)
    assert 0 < sum(layer.neurons for layer in found.layers) <= 0.1 * 2 * 64 + 16


def test_probability_is_the_models_own(model):
    """For an answer of several tokens: the product, all of them masked."""
    packed, tokenizer = open_lm(model)
    answer = tokenizer.encode("Austria Hungary", add_special_tokens=False)
    assert len(answer) > 1
    masks = tokenizer.mask_token * len(answer)
    ids = torch.tensor([tokenizer.encode(f"Vienna is the capital of {masks}.")])
    with torch.no_grad():
        logits = packed.lm(ids).logits[ids == tokenizer.mask_token_id]
    expected = logits.softmax(dim=1)[range(len(answer)), answer].prod().item()
    found = explain(model, "Vienna is the capital of [MASK].", answer="Austria Hungary", points=2)
    assert found.probability == pytest.approx(expected, rel=1e-4)
    assert found.guess == "Austria Hungary"


def test_without_an_answer_it_is_the_models_guess(model):
    found = explain(model, "Oslo is the capital of [MASK].", points=2)
    assert found.answer == found.guess


@pytest.mark.parametrize("sentence", ["Paris.", "[MASK] is the capital of [MASK]."])
def test_needs_one_mask(model, sentence):
    with pytest.raises(UsageError, match="one"):
        explain(model, sentence)


def test_command_prints_tables_and_writes_files(model, tmp_path, capsys, monkeypatch):
    outs = [tmp_path / f"x.{ending}" for ending in ("json", "html", "png")]
    words = ["kgcorpus", "explain", "--model", str(model), "--sentence", "Rome is the capital of [MASK]."]
    words += ["--answer", "Italy", "--top", "5", "--points", "3"]
    monkeypatch.setattr("sys.argv", [*words, *(word for out in outs for word in ("--out", str(out)))])
    assert run_app(app) == 0
    assert "The path through the layers" in capsys.readouterr().out
    found = json.loads(outs[0].read_text())
    assert found["answer"] == "Italy"
    assert len(found["top"]) == 5
    assert "The top neurons" in outs[1].read_text()
    assert outs[2].read_bytes().startswith(b"\x89PNG")


def test_unknown_endings_are_refused(model, tmp_path):
    found = explain(model, "Rome is the capital of [MASK].", points=1)
    with pytest.raises(UsageError, match=r"\.xyz"):
        save(found, tmp_path / "a.xyz")


def test_escapes_in_a_text_do_not_steer_the_terminal():
    hostile = "\x1b]0;title\x07\x1b[31m\u202e"
    words = {"sentence": f"{hostile} [MASK].", "answer": hostile, "guess": hostile}
    numbers = {"probability": 0.5, "suppressed": 0.1, "doubled": 0.9}
    console = Console(file=io.StringIO(), width=200)
    show(Explanation(**words, **numbers, top=(), layers=()), console)
    shown = console.file.getvalue()
    assert shown.count(r"\x1b]0;title") == 3
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_sentence_with_dollars_and_controls_can_be_drawn(tmp_path, suffix):
    words = {"sentence": r"Of $5, \x1b[31m$\frac{ is [MASK].", "answer": "$^{$\x1b", "guess": "$"}
    numbers = {"probability": 0.5, "suppressed": 0.1, "doubled": 0.9}
    save(Explanation(**words, **numbers, top=(), layers=()), tmp_path / f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").stat().st_size
