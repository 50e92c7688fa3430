"""What every loader of a model of transformers asks for: a tokenizer that is whole, and no weight drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgcorpus.contracts.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


# Weights as pickles, in one file or in parts with an index; `kgcorpus convert` reads them.
WHOLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def has_bin_weights(folder: str | Path) -> bool:
    """Whether the folder holds weights that `kgcorpus convert` reads."""
    return any(Path(folder, name).is_file() for name in (WHOLE, INDEX))


def read_tokenizer(source: str | Path) -> "PreTrainedTokenizerFast":
    """A tokenizer of a folder or a hub, without code of its own.

    Saved again it gives the files it was read from: transformers adds to its settings how it was loaded, so
    a resumed run would end in other bytes.

    Raises:
        OSError: there is none.
        ValueError: it needs code of its own, or its files are damaged.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # of damaged files: KeyError, AttributeError and bare ones
        raise ValueError(f"its tokenizer is damaged ({error!r})") from error
    for how in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(how, None)
    return tokenizer


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
