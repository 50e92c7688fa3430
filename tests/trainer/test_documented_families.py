"""The commands of docs/training.md train KMLM on a ModernBERT and on an mDeBERTa."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    DebertaV2Config,
    DebertaV2Model,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner

from kgcorpus.cli import app
from trainer.metrics_log import read_metrics

DOC = Path(__file__).parents[2] / "docs" / "training.md"
HUB = "answerdotai/ModernBERT-base"


def documented_commands() -> list[list[str]]:
    (block,) = re.findall(rf"^```\n((?:kgcorpus[^\n]*\n)*[^\n]*{HUB}.*?)```", DOC.read_text(), re.M | re.S)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def write_bases(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """A tiny ModernBERT, and a tiny mDeBERTa as the hub has it: a .bin without a head."""
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 140,
    }
    special = dict.fromkeys(("pad", "bos", "eos", "cls", "sep"), tokenizer.pad_token_id)
    ids = {f"{name}_token_id": i for name, i in special.items()}
    modern = ModernBertForMaskedLM(ModernBertConfig(**sizes, **ids, local_attention=16))
    modern.save_pretrained(folder / "modern")
    config = DebertaV2Config(
        **sizes,
        pad_token_id=tokenizer.pad_token_id,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
        position_buckets=16,
        position_biased_input=False,
        type_vocab_size=0,
    )
    config.save_pretrained(folder / "downloaded")
    torch.save(DebertaV2Model(config).state_dict(), folder / "downloaded" / "pytorch_model.bin")
    for name in ("modern", "downloaded"):
        tokenizer.save_pretrained(folder / name)


@pytest.mark.slow
def test_the_documented_commands_train_both_families(
    corpus: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bases(tmp_path, tokenizer)
    monkeypatch.chdir(tmp_path)
    given = {"OUT": str(corpus), "FOLDER": "downloaded", f"base_model={HUB}": "base_model=modern"}
    commands = documented_commands()
    assert [words[0] for words in commands] == ["train", "convert", "train"]
    for command in commands:
        words = [given.get(word, word) for word in command]
        few = ["--max-steps", "3", "--set", "records_per_step=6"] if words[0] == "train" else []
        done = CliRunner().invoke(app, [*words, *few], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    for run, kind in (("MODERN", "modernbert"), ("DEBERTA", "deberta-v2")):
        lines = read_metrics(tmp_path / run / "metrics.jsonl")
        assert [line["step"] for line in lines] == [1, 2, 3]
        assert AutoModelForMaskedLM.from_pretrained(tmp_path / run / "model").config.model_type == kind
