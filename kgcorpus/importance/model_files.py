"""Checks of an encoder's folder without torch and transformers, which take seconds to import."""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.importance.pretrained import INDEX, WHOLE, has_bin_weights, require_on_hub

_WEIGHTS, _PARTS = "model.safetensors", "model.safetensors.index.json"
# A header of a model of 100 layers has about 200 kB; the format allows 100 MB.
_MOST_HEADER = 100 << 20
_HINT = "Give a folder, or a hub model, with config.json, model.safetensors and tokenizer.json"


def check_encoder_files(name: str) -> None:
    """Check an encoder's files without loading the model; loading it can find further faults.

    The hub is asked whether it has the model. Of a folder, the digests in `state.json` are compared,
    `config.json` is parsed, and the headers of the weights are read.

    Args:
        name: a folder, or a model's name on the hub.

    Raises:
        InputError: a file is missing, truncated or damaged, or the hub does not provide the model.
        UsageError: the model is an encoder-decoder.
    """
    folder = Path(name)
    if not folder.is_dir():
        require_on_hub(name)
        return
    verify_model(name)
    try:
        config = _json_object(folder / "config.json")
        for path in _weight_files(folder):
            _check_header(path)
    except (OSError, ValueError) as error:
        hint = _HINT
        if has_bin_weights(folder):
            hint = f"If it has weights in {WHOLE} or {INDEX} only, run kgcorpus convert {name} --to FOLDER"
        raise InputError(f"the encoder cannot be opened ({error})", where=name, hint=hint) from None
    if config.get("is_encoder_decoder"):
        raise UsageError("an encoder-decoder is no encoder", where=name, hint="Use a BERT-like model")


def _weight_files(folder: Path) -> Iterator[Path]:
    if (folder / _WEIGHTS).exists() or not (folder / _PARTS).exists():
        yield folder / _WEIGHTS
        return
    names = _json_object(folder / _PARTS).get("weight_map")
    if not isinstance(names, dict):
        raise ValueError(f"{_PARTS} has no weight_map")
    yield from (folder / Path(str(part)).name for part in sorted(set(names.values())))


def _json_object(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        raise ValueError(f"{path.name} is missing")
    require_regular_file(path)
    try:
        value = parse_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return value


def _check_header(path: Path) -> None:
    """Read the header of a safetensors file: its length (uint64), then JSON with the tensors' places."""
    if not path.exists():
        raise ValueError(f"{path.name} is missing")
    require_regular_file(path)
    with path.open("rb") as stream:
        start = stream.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else _MOST_HEADER + 1
        if size > _MOST_HEADER:
            raise ValueError(f"{path.name} is not a safetensors file")
        try:
            header = json.loads(stream.read(size))
            places = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
            end = 8 + size + max(map(int, places), default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise ValueError(f"the header of {path.name} is damaged: {error!r}") from None
    if path.stat().st_size != end:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, its header says {end:,}")
