"""Loading of transformers models: every weight is present and no code of the model's own runs."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.importance.pretrained import (
    check_weights,
    drawn_weights,
    has_bin_weights,
    read_config,
    read_tokenizer,
    read_weights,
)

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
# It advises trust_remote_code=True, which runs whatever code came with the weights.
_OWN_CODE = "custom code"


def not_loaded(error: Exception, *, where: str) -> UsageError:
    """The error to show.

    Args:
        error: of `from_pretrained`, which is always called with `trust_remote_code=False`: without it
            transformers asks on stdin whether to run the code that came with a model.
        where: the setting and its value.
    """
    if _OWN_CODE in str(error):
        hint = "Name a model whose architecture transformers itself has"
        return UsageError("comes with code of its own, which is not run", where=where, hint=hint)
    return UsageError(
        f"cannot be loaded: {' '.join(str(error).split())}",
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
        raise not_loaded(error, where=where) from None
    if tokenizer.pad_token is None:
        raise UsageError(
            "its tokenizer has no padding token",
            where=where,
            hint="Set pad_token in its tokenizer_config.json",
        )
    return tokenizer


def commit_of(source: str, *, where: str) -> str:
    """The commit that a hub id is read at; empty where the files come from elsewhere.

    Args:
        source: a hub id.
        where: the setting and its value, for errors.

    Raises:
        UsageError: it cannot be loaded.
    """
    try:
        return str(getattr(read_config(source), "_commit_hash", None) or "")
    except (OSError, ValueError) as error:
        raise not_loaded(error, where=where) from None


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
        raise not_loaded(error, where=where) from None


def load_model(
    kind: Any, source: str | Path, *, where: str, new: tuple[str, ...] = (), **settings: Any
) -> Any:
    """What `kind.from_pretrained` loads from safetensors; other formats can run code.

    Args:
        kind: a class of transformers, or one of its `AutoModel...`.
        source: a folder or hub id.
        where: the setting and its value, for errors.
        new: how the names of weights begin that may be missing; they are drawn. A pooler always may.
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
                "has its weights in .bin alone, a format that can run code",
                where=where,
                hint=f"Run kgcorpus convert {source} --to FOLDER, then name FOLDER",
            ) from None
        raise not_loaded(error, where=where) from None
    except (SafetensorError, RuntimeError) as error:
        # A file that is cut, or of other shapes than its config.json.
        told = " ".join(str(error).split())[:300]
        raise InputError(
            f"its weights cannot be read ({told})", where=where, hint="Copy or train it again"
        ) from None
    if drawn := drawn_weights(loading, where=where, new=new):
        _log.info("%s lacks %s and draws them", where, ", ".join(drawn[:3]))
    check_weights(model, where=where)
    return model


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
