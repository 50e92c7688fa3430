"""Loading of transformers models: every weight is present and no code of the model's own runs."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.hub_ids import is_model_id, split_revision
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.importance.pretrained import (
    check_weights,
    drawn_weights,
    has_bin_weights,
    read_config,
    read_tokenizer,
    read_weights,
    without_progress_bar,
)

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
# It advises trust_remote_code=True, which runs whatever code came with the weights.
_OWN_CODE = "custom code"


def not_loaded(error: Exception, *, source: str | Path, where: str) -> UsageError:
    """The error to show.

    Args:
        source: a folder or hub id.
        error: of `from_pretrained`, which is always called with `trust_remote_code=False`: without it
            transformers asks on stdin whether to run the code that came with a model.
        where: the setting and its value.
    """
    if _OWN_CODE in str(error):
        hint = "Name a model whose architecture transformers itself has"
        return UsageError("comes with code of its own, which is not run", where=where, hint=hint)
    message = " ".join(str(error).split())
    if not Path(source).exists():
        reason = message.partition(". ")[0][:200]
        what = f", and the hub does not provide it ({reason})" if is_model_id(str(source)) else ""
        return UsageError(f"no such folder{what}", where=where, hint="Correct the path or the hub id")
    return UsageError(
        f"cannot be loaded: {message}",
        where=where,
        hint="Name a folder, or a hub id, with config.json, model.safetensors and tokenizer.json",
    )


def load_tokenizer(source: str | Path, *, where: str) -> "PreTrainedTokenizerFast":
    """A model's tokenizer, with a padding token.

    Args:
        source: a folder or hub id; files that its `state.json` names are compared with their hashes.
        where: the setting and its value, for errors.

    Raises:
        UsageError: it cannot be loaded, or has no padding token.
        InputError: the folder is damaged.
    """
    verify_model(source)
    try:
        tokenizer = read_tokenizer(source)
    except (OSError, ValueError) as error:
        raise not_loaded(error, source=source, where=where) from None
    if tokenizer.pad_token is None:
        raise UsageError(
            "its tokenizer has no padding token",
            where=where,
            hint="Set pad_token in its tokenizer_config.json",
        )
    return tokenizer


def commit_of(source: str, *, where: str) -> str:
    """The commit that a hub id is read at: the folder of its file in the cache; empty if it is unknown.

    Args:
        source: a hub id.
        where: the setting and its value, for errors.

    Raises:
        UsageError: it cannot be loaded.
    """
    from huggingface_hub import try_to_load_from_cache

    try:
        read_config(source)
    except (OSError, ValueError) as error:
        raise not_loaded(error, source=source, where=where) from None
    name, pinned = split_revision(source)
    cached = try_to_load_from_cache(name, "config.json", **pinned)
    return Path(cached).parent.name if isinstance(cached, str) else ""


def model_type_of(source: str | Path, *, where: str) -> str:
    """The `model_type` of a model's config.json.

    Args:
        source: a folder or hub id.
        where: the setting and its value, for errors.

    Raises:
        UsageError: its config.json cannot be read.
    """
    verify_model(source)
    try:
        return str(read_config(source).model_type)
    except (OSError, ValueError) as error:
        raise not_loaded(error, source=source, where=where) from None


def load_model(
    kind: Any, source: str | Path, *, where: str, new: tuple[str, ...] = (), **settings: Any
) -> Any:
    """What `kind.from_pretrained` loads from safetensors; other formats can run code.

    Args:
        kind: a class of transformers, or one of its `AutoModel...`.
        source: a folder or hub id.
        where: the setting and its value, for errors.
        new: how the names of weights begin that may be missing. They are drawn, but square matrices are the
            identity: a new head at first reads the states as they are. A pooler may always be missing.
        settings: of `from_pretrained`.

    Raises:
        UsageError: it cannot be loaded.
        InputError: its weights are damaged or not finite, or some are missing, which transformers would draw.
    """
    verify_model(source)
    try:
        model, loading = read_weights(kind, source, **settings)
    except (OSError, ValueError) as error:
        if has_bin_weights(source) and _OWN_CODE not in str(error):
            raise UsageError(
                "has its weights only in .bin, a format that can run code",
                where=where,
                hint=f"Run kgcorpus convert {source} --to FOLDER, then name FOLDER",
            ) from None
        raise not_loaded(error, source=source, where=where) from None
    except (SafetensorError, RuntimeError) as error:
        # A file that is cut, or of other shapes than its config.json.
        message = " ".join(str(error).split())[:300]
        raise InputError(
            f"its weights cannot be read ({message})", where=where, hint="Copy or train it again"
        ) from None
    if drawn := drawn_weights(loading, where=where, new=new):
        _log.info("%s lacks %s: they start at random", where, ", ".join(drawn[:3]))
        _start_as_identity(model, drawn)
    check_weights(model, where=where)
    return model


def _start_as_identity(model: "Module", names: list[str]) -> None:
    import torch

    for name in names:
        weight = model.get_parameter(name)
        if weight.dim() == 2 and weight.shape[0] == weight.shape[1]:
            torch.nn.init.eye_(weight)


def read_tensors(path: Path, *names: str) -> dict[str, "Tensor"]:
    """The tensors of a safetensors file.

    Args:
        path: of the file.
        names: of tensors that it must hold.

    Raises:
        InputError: it is missing or damaged, or lacks one of them.
    """
    from safetensors.torch import load_file

    try:
        found = load_file(path)
        if lacking := set(names) - set(found):
            raise ValueError(f"lacks {', '.join(sorted(lacking))}")
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"cannot be read ({' '.join(str(error).split())[:300]})",
            where=str(path),
            hint="Copy it from a checkpoint of the run, or train the model again",
        ) from None
    return found


def put_tensors(model: "Module", tensors: Mapping[str, "Tensor"], *, path: Path) -> None:
    """Copy a file's tensors into a model; those that the file lacks stay as they are.

    Args:
        model: whose parameters have these names.
        tensors: of `read_tensors`.
        path: the file, for the error.

    Raises:
        InputError: one has another shape than the model's.
    """
    try:
        model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise InputError(
            f"does not fit the model ({' '.join(str(error).split())[:300]})",
            where=str(path),
            hint="Copy it from a checkpoint of the run, or train the model again",
        ) from None


def save_model(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", folder: Path) -> None:
    """Write a model of transformers and its tokenizer."""
    with without_progress_bar():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
