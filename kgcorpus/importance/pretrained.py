"""What every loader of a transformers model checks: own code, kernels, tokenizer, weights."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.panics import is_panic
from kgcorpus.importance.tokenizers import check_tokenizer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

# With a repository's name in one of these, transformers fetches a kernel from the hub and runs it.
_KERNELS = ("_attn_implementation", "_experts_implementation")


_HUB_SECONDS = 10.0
# Weights as pickles, in one file or in parts with an index; `kgcorpus convert` reads them.
WHOLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def has_bin_weights(folder: str | Path) -> bool:
    """Whether the folder holds weights that `kgcorpus convert` reads."""
    return any(Path(folder, name).is_file() for name in (WHOLE, INDEX))


def require_on_hub(name: str) -> None:
    """Check that a model which is no folder is in the hub's cache, or that the hub has it.

    A load would ask the hub for each file several times, and wait longer each time.

    Raises:
        InputError: the hub has no such model, or cannot be reached within 10 seconds.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    if Path(name).exists():
        return
    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        HfApi().model_info(name, timeout=_HUB_SECONDS)
    except Exception as error:  # of the network, of HTTP, of the hub's own kinds
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"it is no folder, and the hub does not give it ({reason})",
            where=name,
            mend="Correct the name, or name the folder of a copy",
        ) from None


def without_progress_bars() -> None:
    """Let transformers draw no bar for every model that it loads."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()


def read_tokenizer(source: str | Path) -> "PreTrainedTokenizerFast":
    """A tokenizer of a folder or a hub, without code of its own.

    Saved again it gives the files it was read from: transformers adds to its settings how it was loaded, so
    a resumed run would end in other bytes.

    Raises:
        OSError: there is none.
        ValueError: it needs code of its own, its files are damaged, it has no vocabulary, or a regular
            expression in it backtracks without end.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # of damaged files: KeyError, AttributeError and bare ones
        raise ValueError(f"its tokenizer is damaged ({error!r})") from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise ValueError(f"its tokenizer is damaged ({error})") from None
    for how in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(how, None)
    if tokenizer.is_fast:
        check_tokenizer(tokenizer.backend_tokenizer)
    return tokenizer


def read_config(source: str | Path) -> "PretrainedConfig":
    """The configuration of a model, without what makes transformers fetch or run something else.

    A choice of attention kernels is dropped: transformers then chooses its own.

    Raises:
        OSError: there is none.
        ValueError: it needs code of its own, is an adapter, or is quantised.
    """
    from transformers import AutoConfig

    if os.path.isdir(source) and (Path(source) / "adapter_config.json").exists():
        raise ValueError("it is an adapter (adapter_config.json): merge it into its base model")
    config: Any = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if getattr(config, "quantization_config", None):
        raise ValueError("it is quantised (quantization_config): name the model that it was made from")
    for name in _KERNELS:
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    return config


def check_weights(model: "PreTrainedModel", *, where: str) -> None:
    """See that no weight is NaN or infinite.

    Raises:
        InputError: one is.
    """
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise InputError(
                f"its weights hold NaN or infinity (in {name})",
                where=where,
                mend="Copy or train the model again",
            )


def check_embeddings(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", *, where: str) -> None:
    """See that every token of the tokenizer has an embedding.

    Raises:
        UsageError: the tokenizer belongs to another model.
    """
    table: Any = model.get_input_embeddings()
    last = max(tokenizer.get_vocab().values(), default=-1)
    if last >= table.num_embeddings:
        raise UsageError(
            f"the tokenizer has ids up to {last}, but the model has {table.num_embeddings} embeddings",
            where=where,
            mend="Put the model's own tokenizer beside it, or resize its embeddings",
        )


def drawn_weights(loading: Mapping[str, Any], *, where: str, new: tuple[str, ...] = ()) -> list[str]:
    """The names of the weights that a checkpoint lacks, which transformers draws; a pooler's left out.

    A pooler is no part of the last layer's states, and a masked-language model is saved without one.

    Args:
        loading: what `from_pretrained` tells with `output_loading_info=True`.
        where: the checkpoint, for the error.
        new: how the names of weights begin that may be missing.

    Raises:
        InputError: another one is missing.
    """
    missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
    if lacking := [name for name in missing if not name.startswith(new)]:
        raise InputError(
            f"lacks the weights {', '.join(lacking[:3])}", where=where, mend="Use a complete checkpoint"
        )
    return missing
