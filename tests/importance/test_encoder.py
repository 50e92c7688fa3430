import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.extras import install_command
from kgcorpus.importance.encoder import load_encoder
from tests.tokenizers import unigram_tokenizer

DEVICES = ("cpu", "cuda")


@pytest.fixture
def folder(save_encoder: Callable[..., Path], tmp_path) -> Path:
    return save_encoder("roberta", tmp_path / "roberta", positions=24)


def test_capacity_leaves_out_the_positions_before_the_pad(folder):
    encoder = load_encoder(str(folder))
    assert (encoder.max_length, encoder.room) == (24, 22)
    full = encoder.states([[7] * 22], pooling="mean")
    assert full.shape == (1, 32)
    assert encoder.model.dtype is torch.float32
    assert not encoder.model.training


def test_a_text_that_spells_special_tokens_is_text(folder):
    encoder = load_encoder(str(folder))
    tokenizer = encoder.tokenizer
    (tokens,) = encoder.tokenize([f"a{tokenizer.mask_token} b {tokenizer.sep_token}"])
    assert not set(tokens.ids) & set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}


def test_special_tokens_among_a_unigram_models_pieces_are_text(folder):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=unigram_tokenizer(), unk_token="<unk>")
    (tokens,) = replace(load_encoder(str(folder)), tokenizer=tokenizer).tokenize(["a <s> ＜ｍａｓｋ＞ b"])
    assert [token for token in tokens.ids if token < 5] == [3, 3]
    assert len(tokens.offsets) == len(tokens.ids)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_encoder(str(tmp_path / "nowhere"))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        load_encoder(str(tmp_path))


def test_pickled_weights_are_not_opened(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        load_encoder(str(folder))


def test_incomplete_weights(folder):
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if name.endswith("layer.1.output.dense.weight"))
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=rf"{folder}: lacks the weights encoder\.layer\.1\.output\.dense\.weight\."
    ):
        load_encoder(str(folder))


def test_junk_for_weights(folder):
    (folder / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="the encoder cannot be opened"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("sound", "junk"), [(".+", "x"), (".+", "[]"), ('"vocab"', '"v"'), ('"type"', '"t"')]
)
def test_junk_for_a_tokenizer(folder, sound, junk):
    path = folder / "tokenizer.json"
    path.write_text(re.sub(sound, junk, path.read_text(), flags=re.DOTALL))
    with pytest.raises(InputError, match=rf"{folder}: the encoder cannot be opened .*tokenizer\.json"):
        load_encoder(str(folder))


def test_a_tokenizer_without_a_mask(folder):
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["mask_token"]
    path.write_text(json.dumps(config))
    with pytest.raises(UsageError, match="mask_token"):
        load_encoder(str(folder))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_absent_device(folder):
    with pytest.raises(EnvironmentLacksError, match="CUDA"):
        load_encoder(str(folder), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_states_of_a_cpu(folder):
    passes = [[7, 8, 9], [7] * 22, [9], [8, 8]]
    states = [load_encoder(str(folder), device=device).states(passes, pooling="mean") for device in DEVICES]
    assert np.abs(states[0] - states[1]).max() < 1e-3


def test_importing_the_room_imports_no_engine_and_says_what_is_missing():
    code = (
        "import sys, kgcorpus.importance.score as s, kgcorpus.importance.encoder as e\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "sys.modules['torch'] = None\n"
        "from kgcorpus.contracts.errors import EnvironmentLacksError\n"
        "try: e.load_encoder('x')\n"
        "except EnvironmentLacksError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert install_command("importance") in done.stdout
