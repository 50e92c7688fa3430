import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.model_files import seal
from kgcorpus.importance.encoder import load_encoder
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning.finetune import open_base
from trainer.jaket.config import JaketConfig
from trainer.jaket.evaluate.arms import open_arm
from trainer.jaket.evaluate.memory import evaluate_memory
from trainer.jaket.export import export
from trainer.jaket.model import JaketModel, open_jaket
from trainer.masked_lm import open_lm


@pytest.fixture
def saved(jaket, jaket_tokenizer, tmp_path):
    # A new LayerNorm changes normalised states only by rounding, which differs between machines.
    generator = torch.Generator().manual_seed(0)
    for name, weight in jaket.named_parameters():
        if name.startswith("merge_"):
            weight.data = torch.randn(weight.shape, generator=generator)
    jaket.save_pretrained(tmp_path / "model")
    jaket_tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def held_out(folder):
    """The toy's passages as a test split, by another page of the manifest."""
    corpus = write_corpus(folder, jaket_rows())
    manifest = (corpus / "manifest.json").read_text()
    for path in sorted((corpus / "data" / "jaket_text").glob("train-*")):
        path.rename(path.with_name(path.name.replace("train", "test")))
    (corpus / "manifest.json").write_text(manifest.replace("jaket_text/train-", "jaket_text/test-"))
    return corpus


def test_the_export_opens_bare_and_its_gap_is_measured(saved, tmp_path):
    found = export(saved, held_out(tmp_path / "corpus"), tmp_path / "lm")
    assert found["tokens"] > 100
    assert found["gap"] == pytest.approx(found["plain"] - found["joint"]) != 0
    assert not found["lossless"]
    assert found["unlinked"] != pytest.approx(found["plain"], rel=1e-4)
    assert found["unlinked"] != pytest.approx(found["joint"], rel=1e-6)
    plain, report = AutoModelForMaskedLM.from_pretrained(tmp_path / "lm", output_loading_info=True)
    assert not report["missing_keys"]
    ids = AutoTokenizer.from_pretrained(tmp_path / "lm")("The old Name3", return_tensors="pt")["input_ids"]
    jaket, _ = open_jaket(saved)
    torch.testing.assert_close(plain(ids).logits, jaket.cpu().lm(ids).logits)


@pytest.mark.parametrize("merge", ["norm_at_mentions", "gate"])
def test_an_export_is_lossless_where_only_mentions_are_merged(jaket, jaket_tokenizer, tmp_path, merge):
    options = JaketConfig(gat_heads=2, merge=merge)
    names = {"relations": jaket.config.relations, "categories": jaket.config.categories}
    model = JaketModel.around(jaket.text, options, **names, seed=0)
    for name, weight in model.named_parameters():
        if name.startswith("merge_"):
            weight.data = torch.randn_like(weight)
    model.save_pretrained(tmp_path / "model")
    jaket_tokenizer.save_pretrained(tmp_path / "model")
    found = export(tmp_path / "model", held_out(tmp_path / "corpus"), tmp_path / "lm", limit=20)
    assert found["lossless"]
    assert found["plain"] == pytest.approx(found["unlinked"], rel=1e-6)
    assert found["joint"] != pytest.approx(found["unlinked"], rel=1e-6)


def test_without_passages_held_out_nothing_can_be_measured(saved, jaket_corpus, tmp_path):
    with pytest.raises(InputError, match="no token held out"):
        export(saved, jaket_corpus, tmp_path / "lm")
    assert not (tmp_path / "lm").exists()


def flip_a_bit(path):
    """Change a weight in the middle of a file; it stays readable."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


OPENED = {
    "tuned": lambda folder: open_base(str(folder)),
    "model": open_lm,
    "encoder": lambda folder: load_encoder(str(folder)),
    "baseline of JAKET": lambda folder: open_arm(folder, "lm", JaketConfig(gat_heads=2), seed=0),
}


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED)
def test_a_changed_weight_of_the_export_is_refused(saved, tmp_path, opened):
    export(saved, held_out(tmp_path / "corpus"), tmp_path / "lm", limit=20)
    opened(tmp_path / "lm")
    flip_a_bit(tmp_path / "lm" / "model.safetensors")
    with pytest.raises(InputError, match=r"lm: is damaged \(the bytes of model\.safetensors"):
        opened(tmp_path / "lm")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_changed_jaket_model_is_neither_exported_nor_asked(saved, tmp_path, name):
    corpus = held_out(tmp_path / "corpus")
    seal(saved, {"step": 1})
    export(saved, corpus, tmp_path / "lm", limit=20)
    flip_a_bit(saved / name)
    for read in (
        lambda: export(saved, corpus, tmp_path / "again"),
        lambda: open_arm(saved, "joint", JaketConfig(), seed=0),
        lambda: evaluate_memory(saved, corpus, EvaluationConfig()),
    ):
        with pytest.raises(InputError, match="model: is damaged"):
            read()
    assert not (tmp_path / "again").exists()
