"""The encoder that scores mentions: any masked-language model of transformers, in batches of one length."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.importance.pretrained import (
    check_embeddings,
    check_weights,
    drawn_weights,
    has_bin_weights,
    read_tokenizer,
    read_weights,
    require_fast_tokenizer,
)
from kgcorpus.importance.tokenizers import tokenizer_panics_as_errors
from kgcorpus.special_tokens import plain_ids

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["fp32", "bf16"]
Device = Literal["cpu", "cuda"]
Pooling = Literal["mean", "cls"]
# Fixed for each device, because a batch's shape changes the last bits of its results. On a CPU a batch fits
# the caches and has no padding (a padded token costs as much as a real one). A GPU needs few, large shapes.
LENGTH_STEP = {"cpu": 1, "cuda": 8}
TOKENS_PER_BATCH = {"cpu": 1_024, "cuda": 65_536}


@dataclass(frozen=True)
class Tokens:
    """Token ids of a text and their `[start, end)` in code points, without added special tokens."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A model with its tokenizer.

    Attributes:
        max_length: maximum tokens in one forward pass, including added special tokens.
        prefix: ids that the tokenizer adds before a text ([CLS], <s>).
        suffix: ids that it adds after a text ([SEP], </s>).
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    device: Device
    max_length: int
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    @property
    def room(self) -> int:
        """Maximum tokens of a text in one forward pass, without added special tokens."""
        return self.max_length - len(self.prefix) - len(self.suffix)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize without truncation or added tokens; a special token spelled in a text stays plain text."""
        with tokenizer_panics_as_errors(str(self.tokenizer.name_or_path)):
            encoded = self.tokenizer(
                list(texts),
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
                verbose=False,
            )
        return [
            Tokens(ids, offsets)
            for ids, offsets in zip(
                plain_ids(encoded.encodings, self.tokenizer.backend_tokenizer),
                encoded["offset_mapping"],
                strict=True,
            )
        ]

    def states(self, passes: Sequence[Sequence[int]], *, pooling: Pooling) -> NDArray[np.float32]:
        """Compute one pooled vector for each pass.

        Passes of equal length (on a GPU, of similar length) share a batch, in the given order. The result
        therefore depends only on `passes`, to the last bit.

        Args:
            passes: token ids without added tokens, between 1 and `room` each.
            pooling: `mean`: sum of the last layer's states over the text's own tokens (a cosine does not
                depend on the divisor); `cls`: the state of the first added token.

        Returns:
            float32 [passes, hidden].
        """
        import torch

        step = LENGTH_STEP[self.device]
        buckets: dict[int, list[int]] = {}
        for i, ids in enumerate(passes):
            length = len(ids) + self.max_length - self.room
            padded = min(-(-length // step) * step, self.max_length)
            buckets.setdefault(padded, []).append(i)
        out: NDArray[np.float32] = np.empty((len(passes), self.model.config.hidden_size), np.float32)
        with torch.inference_mode(), _one_thread():
            for length, members in sorted(buckets.items()):
                size = max(1, TOKENS_PER_BATCH[self.device] // length)
                for first in range(0, len(members), size):
                    batch = members[first : first + size]
                    pooled = self._pooled([passes[i] for i in batch], length, pooling)
                    out[batch] = pooled.cpu().numpy()
        return out

    def _pooled(self, batch: list[Sequence[int]], length: int, pooling: Pooling) -> "torch.Tensor":
        import torch

        head, tail = len(self.prefix), len(self.suffix)
        ids = np.full((len(batch), length), self.tokenizer.pad_token_id, np.int64)
        attended = np.zeros((len(batch), length), np.int64)
        own = np.zeros((len(batch), length, 1), np.float32)
        for row, text in enumerate(batch):
            end = head + len(text)
            ids[row, : end + tail] = (*self.prefix, *text, *self.suffix)
            attended[row, : end + tail] = 1
            own[row, head:end] = 1
        states = self.model(
            input_ids=torch.from_numpy(ids).to(self.device),
            attention_mask=torch.from_numpy(attended).to(self.device),
        ).last_hidden_state.float()
        if pooling == "cls":
            return states[:, 0]
        return (states * torch.from_numpy(own).to(self.device)).sum(1)


def load_encoder(name: str, *, dtype: Dtype = "fp32", device: Device = "cpu") -> Encoder:
    """Load an encoder: BERT, RoBERTa, XLM-R, DistilBERT or a similar model.

    Args:
        name: a folder with safetensors weights and a fast tokenizer, or a model's name on the hub.
        dtype: type of weights and activations; pooling and cosine are always float32.
        device: cpu | cuda.

    Raises:
        EnvironmentLacksError: torch or transformers is not installed, or the device does not exist.
        InputError: the model cannot be loaded, or its weights are incomplete or not finite.
        UsageError: the model is not an encoder, or has no fast tokenizer with a mask token.
    """
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModel
    except ImportError as error:
        raise EnvironmentLacksError(
            f"semantic importance needs torch and transformers ({error})",
            hint=f"Run: {install_command('importance')}",
        ) from error

    if device == "cuda" and not torch.cuda.is_available():
        raise EnvironmentLacksError(
            "torch finds no CUDA device", where="importance.device", hint="Use cpu, or executors with a GPU"
        )
    _require_folder(name)
    verify_model(name)
    try:
        with _quiet():
            tokenizer = read_tokenizer(name)
            precision = torch.bfloat16 if dtype == "bf16" else torch.float32
            model, loading = read_weights(AutoModel, name, torch_dtype=precision)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        hint = "Give a folder, or a hub model, with config.json, model.safetensors and tokenizer.json"
        if has_bin_weights(name):
            hint = (
                f"If it has weights in .bin only, run kgcorpus convert {name} --to FOLDER, then name FOLDER"
            )
        raise InputError(
            f"the encoder cannot be opened ({' '.join(str(error).split())[:300]})", where=name, hint=hint
        ) from error
    drawn_weights(loading, where=name)
    check_weights(model, where=name)
    require_fast_tokenizer(tokenizer, where=name, tokens=("mask_token", "unk_token", "pad_token"))
    check_embeddings(model, tokenizer, where=name)
    if model.config.is_encoder_decoder:
        raise UsageError("an encoder-decoder is no encoder", where=name, hint="Use a BERT-like model")
    prefix, suffix = _added(tokenizer)
    return Encoder(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        device=device,
        max_length=_capacity(model, tokenizer),
        prefix=prefix,
        suffix=suffix,
    )


def _require_folder(name: str) -> None:
    if (os.path.isabs(name) or name.startswith((".", "~"))) and not os.path.isdir(name):
        raise InputError("there is no such folder", where=name, hint="Name the encoder's folder")


def _added(tokenizer: "PreTrainedTokenizerBase") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids that the tokenizer adds before and after a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, added = encoded["input_ids"], encoded["special_tokens_mask"]
    first = added.index(0)
    last = len(added) - added[::-1].index(0)
    return tuple(ids[:first]), tuple(ids[last:])


def _capacity(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> int:
    """Maximum tokens in a pass. RoBERTa-like models cannot use positions up to the padding index."""
    tables: list[Any] = [m for n, m in model.named_modules() if n.endswith("position_embeddings")]
    positions = [t.num_embeddings - (0 if t.padding_idx is None else t.padding_idx + 1) for t in tables]
    return min([tokenizer.model_max_length, *(positions or [model.config.max_position_embeddings])])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: the order of a sum, and so its last bits, depends on the thread count."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warning that a masked-language model was loaded without its head."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
