"""What a TRELM checkpoint holds beside the plain language model: the heads, the memory and its options."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.files import parse_json
from trainer.config import TrelmConfig
from trainer.pretrained import read_tensors
from trainer.trelm.memory import MemoryBank
from trainer.trelm.model import TrelmModel

TENSORS, OPTIONS = "trelm.safetensors", "trelm.json"


def save_extras(
    folder: Path, model: TrelmModel, memory: Mapping[str, Tensor], *, options: TrelmConfig, kge: Path | None
) -> None:
    """Write trelm.safetensors and trelm.json.

    Args:
        folder: of the checkpoint.
        model: its heads are written.
        memory: of `MemoryBank.collect`; empty without one.
        options: of the objective.
        kge: folder of the frozen vectors. Its path is kept, relative to the checkpoint's, instead of the
            vectors: those of millions of entities would outweigh every checkpoint.
    """
    from safetensors.torch import save_file

    tensors = {**_heads(model), **memory}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    relative = None if kge is None else os.path.relpath(kge, folder)
    text = json.dumps({"options": options.model_dump(mode="json"), "kge": relative}, indent=1)
    (folder / OPTIONS).write_text(text + "\n", encoding="utf-8")


def load_extras(folder: Path, model: TrelmModel, memory: MemoryBank | None = None) -> None:
    """Read into the heads, and into the memory where one is given, what `save_extras` wrote."""
    tensors = read_tensors(folder / TENSORS)
    heads = {name: tensor for name, tensor in tensors.items() if not name.startswith("memory.")}
    model.load_state_dict(heads, strict=False)
    if memory is not None:
        memory.load(tensors)


def read_options(folder: Path) -> tuple[TrelmConfig, Path | None]:
    """The options of a checkpoint, and the folder of its frozen vectors.

    Raises:
        UsageError: the folder holds no TRELM checkpoint.
    """
    try:
        kept: dict[str, Any] = parse_json((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"is no checkpoint of TRELM ({error})",
            where=str(folder),
            mend="Name the RUN/model of train trelm",
        ) from None
    kge = None if kept["kge"] is None else (folder / kept["kge"]).resolve()
    return TrelmConfig.model_validate(kept["options"]), kge


def _heads(model: TrelmModel) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name.startswith(("injection.", "decoder."))
    }
