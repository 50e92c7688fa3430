"""Conversion of published `.bin` checkpoints to safetensors, without running their pickles' code."""

import json
import pickle
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.importance.pretrained import INDEX, WHOLE, has_bin_weights
from trainer.checkpoint import write_model

# What belongs to a model beside its weights. Code (`*.py`) and other pickles stay behind.
_BESIDE = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("sentencepiece.bpe.model", "spiece.model", "README.md", "LICENSE"),
)
# As TensorFlow named them; BERT's first checkpoints still do.
_RENAMED = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def convert(source: Path, to: Path) -> Path:
    """Write a checkpoint's weights as safetensors, beside copies of its configuration and tokenizer.

    Tensors keep values, dtypes and names, but `LayerNorm.gamma` and `.beta` become `.weight` and `.bias`.
    Each `.bin` becomes one file; several get an index.

    Args:
        source: a folder with pytorch_model.bin, or with pytorch_model.bin.index.json and the files it names.
        to: a folder that does not exist yet.

    Returns:
        `to`.

    Raises:
        UsageError: no such checkpoint, or `to` exists.
        InputError: a file is damaged, holds anything but tensors, or lacks a tensor that the index names.
    """
    if not has_bin_weights(source):
        raise UsageError(
            f"holds neither {WHOLE} nor {INDEX}", where=str(source), hint="Name a checkpoint's folder"
        )
    if to.exists():
        raise UsageError("exists already", where=str(to), hint="Name a new folder")
    verify_model(source)
    files = [WHOLE] if (source / WHOLE).is_file() else sorted(set(_weight_map(source).values()))

    def write(folder: Path) -> None:
        for name in _BESIDE:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        _write_weights(source, files, folder)

    write_model(to, write)
    return to


def _write_weights(source: Path, files: list[str], folder: Path) -> None:
    from safetensors.torch import save_file

    places: dict[str, str] = {}
    size = 0
    for number, file in enumerate(files, start=1):
        name = (
            "model.safetensors" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        )
        tensors = dict(_tensors(source / file))
        if twice := sorted(tensors.keys() & places.keys()):
            raise InputError(f"the tensor {twice[0]} is in two files", where=str(source / file))
        places |= dict.fromkeys(tensors, name)
        size += sum(tensor.nbytes for tensor in tensors.values())
        save_file(tensors, folder / name, metadata={"format": "pt"})
    if len(files) == 1:
        return
    if missing := sorted({_renamed(name) for name in _weight_map(source)} - places.keys()):
        raise InputError(f"no file holds the tensor {missing[0]}", where=str(source / INDEX))
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _weight_map(source: Path) -> Mapping[str, str]:
    path = source / INDEX
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        proper = all(Path(file).name == file and file.endswith(".bin") for file in found.values())
        if not found or not proper:
            raise ValueError("it names a file outside the folder, or none")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"is not an index of .bin files ({error})", where=str(path), hint="Fetch the checkpoint again"
        ) from None
    weight_map: Mapping[str, str] = found
    return weight_map


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one file by name; two that share memory become two."""
    again = "Fetch the checkpoint again"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError("is missing", where=str(path), hint=again) from None
    except pickle.UnpicklingError as error:
        # The rest of torch's message is advice to read the file all the same.
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise InputError(
            "holds more than tensors, which could run code and is not read"
            + (f" ({named[1]})" if named else ""),
            where=str(path),
            hint="Do not use this file; take the checkpoint from its authors, or one in safetensors",
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        message = " ".join(str(error).split())[:200]
        raise InputError(f"cannot be read ({message})", where=str(path), hint=again) from None
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(
            "is not a checkpoint's tensors by name",
            where=str(path),
            hint="Name the checkpoint of a model, not of a training run",
        )
    for name, tensor in loaded.items():
        yield _renamed(str(name)), tensor.clone().contiguous()


def _renamed(name: str) -> str:
    for old, new in _RENAMED.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
