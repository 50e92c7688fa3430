"""Checks for every loaded transformers model: no own code or fetched kernels, sound tokenizer and weights."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.hub_ids import split_revision
from kgcorpus.contracts.panics import is_panic
from kgcorpus.contracts.secrets import remember_secret
from kgcorpus.importance.tokenizers import check_tokenizer

if TYPE_CHECKING:
    from transformers import (
        PretrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
        PreTrainedTokenizerFast,
    )

# If one of these names a repository, transformers downloads a kernel from the hub and runs it.
_KERNELS = ("_attn_implementation", "_experts_implementation")
# Larger numbers in a config.json would keep transformers building modules and tables for hours.
_MOST_LAYERS, _MOST_LABELS = 1_000, 1_000_000
_HUB_SECONDS = 10.0
# Pickled weights, in one file or in parts with an index; only `kgcorpus convert` reads them.
WHOLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def has_bin_weights(folder: str | Path) -> bool:
    """Whether the folder holds weights that `kgcorpus convert` reads."""
    return any(Path(folder, name).is_file() for name in (WHOLE, INDEX))


def require_on_hub(name: str) -> None:
    """Check that a name that is not a folder is in the hub's cache or on the hub.

    Without this check, a load retries each missing file with growing delays.

    Raises:
        InputError: the name is a path to nothing, the hub has no such model, or it cannot be reached within
            10 seconds.
    """
    if Path(name).exists():
        return
    if Path(name).is_absolute() or (len(Path(name).parts) > 1 and Path(name).parent.exists()):
        raise InputError("does not exist", where=name, hint="Correct the path")
    from huggingface_hub import HfApi, get_token, try_to_load_from_cache

    try:
        model, pinned = split_revision(name)
        if isinstance(try_to_load_from_cache(model, "config.json", **pinned), str):
            return
        remember_secret(get_token())
        HfApi().model_info(model, timeout=_HUB_SECONDS, revision=pinned.get("revision"))
    except Exception as error:  # of the network, of HTTP, of the hub's own kinds
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"is not a folder, and the hub does not provide it ({reason})",
            where=name,
            hint="Correct the name, or name the folder of a copy",
        ) from None


@contextlib.contextmanager
def without_progress_bar() -> Iterator[None]:
    """Turn off transformers' progress bar for reading and writing weights."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()


def read_tokenizer(source: str | Path) -> "PreTrainedTokenizerFast":
    """Load a tokenizer from a folder or the hub without running its own code.

    Saving the tokenizer writes the files it was loaded from. (transformers records in the settings how a
    tokenizer was loaded; this is removed, or a resumed run would write other bytes.)

    Raises:
        OSError: the tokenizer does not exist.
        ValueError: it needs its own code, its files are damaged, it has no vocabulary, or one of its regular
            expressions backtracks exponentially.
    """
    from transformers import AutoTokenizer

    # AutoTokenizer may build the model's configuration; a tokenizer of its own has no config.json.
    with contextlib.suppress(OSError):
        read_settings(source)
    try:
        name, pinned = split_revision(source)
        tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **pinned)
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
    longest = tokenizer.model_max_length
    if isinstance(longest, bool) or not isinstance(longest, int | float) or not longest >= 1:
        raise ValueError(f"model_max_length in its tokenizer_config.json is {longest!r}, not a length")
    if tokenizer.is_fast:
        check_tokenizer(tokenizer.backend_tokenizer)
    return tokenizer


def require_fast_tokenizer(
    tokenizer: "PreTrainedTokenizerBase", *, where: str, tokens: Sequence[str] = ()
) -> None:
    """Check that a tokenizer is a fast one, whose offsets are needed, and has these special tokens.

    Raises:
        UsageError: it is slow (no tokenizer.json), or one of `tokens` (e.g. `mask_token`) is not set.
    """
    if not tokenizer.is_fast:
        raise UsageError(
            "its tokenizer is slow and gives no offsets",
            where=where,
            hint="Save a fast tokenizer (tokenizer.json) beside it",
        )
    for token in tokens:
        if getattr(tokenizer, token) is None:
            raise UsageError(f"its tokenizer has no {token}", where=where, hint="Use a masked language model")


def read_settings(source: str | Path) -> dict[str, Any]:
    """The content of a model's config.json.

    Raises:
        OSError: there is none.
        ValueError: it is no JSON mapping, or names more layers or labels than any model has.
    """
    from transformers import PretrainedConfig

    try:
        name, pinned = split_revision(source)
        settings: Any = PretrainedConfig.get_config_dict(name, **pinned)[0]
        if not isinstance(settings, dict):
            raise ValueError("its config.json is no mapping")
        _refuse_huge(settings)
    except (OSError, ValueError):
        raise
    except Exception as error:  # RecursionError, TypeError: JSON of another shape
        raise ValueError(f"its config.json is damaged ({error!r})") from error
    return settings


def _refuse_huge(settings: Mapping[str, Any]) -> None:
    """Raise ValueError for a number of layers or labels that no model has, on any level."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            _refuse_huge(value)
        most = _MOST_LAYERS if "layer" in name else _MOST_LABELS if name == "num_labels" else None
        if most is not None and isinstance(value, int | float) and value > most:
            raise ValueError(f"its config.json has {name} {value}; the limit is {most:,}")


def read_config(source: str | Path) -> "PretrainedConfig":
    """Load a model's configuration and remove settings that make transformers fetch or run other code.

    A configured attention kernel is removed; transformers then uses its default.

    Raises:
        OSError: the configuration does not exist.
        ValueError: it is damaged, needs its own code, is an adapter, or is quantised.
    """
    from transformers import AutoConfig

    if os.path.isdir(source) and (Path(source) / "adapter_config.json").exists():
        raise ValueError("it is an adapter (adapter_config.json): merge it into its base model")
    read_settings(source)
    try:
        name, pinned = split_revision(source)
        config: Any = AutoConfig.from_pretrained(name, trust_remote_code=False, **pinned)
    except (OSError, ValueError):
        raise
    except Exception as error:  # each class of configurations raises its own
        raise ValueError(f"its config.json is damaged ({error!r})") from error
    if getattr(config, "quantization_config", None):
        raise ValueError("it is quantised (quantization_config): name the model that it was made from")
    for name in _KERNELS:
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    return config


def read_weights(kind: Any, source: str | Path, **settings: Any) -> tuple[Any, Mapping[str, Any]]:
    """Load a model from safetensors; other formats can run code.

    Args:
        kind: a class of transformers, or one of its `AutoModel...`.
        source: a folder or hub id.
        settings: of `from_pretrained`.

    Returns:
        The model, and the names of the weights that the files lack or have too many of.

    Raises:
        OSError: there are no such weights.
        ValueError: config.json cannot be read, or describes no model that can be built.
        RuntimeError: the weights have other shapes than config.json says.
        SafetensorError: a file is damaged.
    """
    config = read_config(source)
    name, pinned = split_revision(source)
    try:
        with without_progress_bar():
            model, loading = kind.from_pretrained(
                name,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **pinned,
                **settings,
            )
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"no model can be built by its config.json ({error!r})") from error
    return model, loading


def check_weights(model: "PreTrainedModel", *, where: str) -> None:
    """Check that all weights are finite.

    Raises:
        InputError: a weight is NaN or infinite.
    """
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise InputError(
                f"its weights hold NaN or infinity (in {name})",
                where=where,
                hint="Copy or train the model again",
            )


def check_embeddings(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", *, where: str) -> None:
    """Check that every token of the tokenizer has an embedding.

    Raises:
        UsageError: a token id is outside the embedding table.
    """
    table: Any = model.get_input_embeddings()
    last = max(tokenizer.get_vocab().values(), default=-1)
    if last >= table.num_embeddings:
        raise UsageError(
            f"the tokenizer has ids up to {last}, but the model has {table.num_embeddings} embeddings",
            where=where,
            hint="Put the model's own tokenizer beside it, or resize its embeddings",
        )


def drawn_weights(loading: Mapping[str, Any], *, where: str, new: tuple[str, ...] = ()) -> list[str]:
    """Return the names of weights that the checkpoint lacks and that transformers initialised at random.

    A missing pooler is ignored: it does not affect the last layer's states, and masked-language models are
    saved without one.

    Args:
        loading: the information that `from_pretrained` returns with `output_loading_info=True`.
        where: the checkpoint, for the error.
        new: prefixes of weight names that are allowed to be missing.

    Raises:
        InputError: another weight is missing.
    """
    missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
    if lacking := [name for name in missing if not name.startswith(new)]:
        raise InputError(
            f"lacks the weights {', '.join(lacking[:3])}", where=where, hint="Use a complete checkpoint"
        )
    return missing
