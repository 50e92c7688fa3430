"""Masked language models of transformers, run on packed rows with logits at the predicted tokens only."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import UsageError
from trainer.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class _Family:
    """Where a family of models keeps its parts; `shifted`: positions are counted from the pad's id + 1."""

    backbone: str
    head: str
    shifted: bool


_FAMILIES = {
    "bert": _Family("bert", "cls", shifted=False),
    "roberta": _Family("roberta", "lm_head", shifted=True),
    "xlm-roberta": _Family("roberta", "lm_head", shifted=True),
}


class PackedMaskedLM(nn.Module):
    """A BERT, RoBERTa or XLM-R with its masked-language-model head, taken apart.

    Attributes:
        lm: the transformers model; the parts below are its own.

    Raises:
        UsageError: a model of another family.
    """

    def __init__(self, lm: "PreTrainedModel") -> None:
        super().__init__()
        kind = lm.config.model_type
        if kind not in _FAMILIES:
            raise UsageError(
                f"a model of type {kind} cannot be trained on packed rows",
                where="base_model",
                mend=f"The types are: {', '.join(_FAMILIES)}",
            )
        self.lm = lm
        self._family = _FAMILIES[kind]
        self._shift = lm.config.pad_token_id + 1 if self._family.shifted else 0

    @property
    def longest(self) -> int:
        """Tokens of the longest record that the positions reach."""
        return int(self.lm.config.max_position_embeddings) - self._shift

    def states(self, ids: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """The last layer's states [rows, length, hidden]; a token sees its own record alone.

        Args:
            ids, segments, positions: [rows, length], of `trainer.packing.Packed`.
        """
        backbone: Any = getattr(self.lm, self._family.backbone)
        # Pads form a block of their own: a row without any visible token would give nan.
        visible = (segments[:, None, :, None] == segments[:, None, None, :]).contiguous()
        output = backbone(input_ids=ids, attention_mask=visible, position_ids=positions + self._shift)
        states: Tensor = output.last_hidden_state
        return states

    def logits(self, states: Tensor) -> Tensor:
        """The head's scores [tokens, vocabulary] of states [tokens, hidden]."""
        head: Any = getattr(self.lm, self._family.head)
        scores: Tensor = head(states)
        return scores


def load_lm(config: TrainingConfig, tokenizer: "PreTrainedTokenizerFast", *, longest: int) -> PackedMaskedLM:
    """The model a run starts from: `base_model`, or a small BERT drawn from the seed.

    Args:
        config: of the run.
        tokenizer: gives a new model its vocabulary.
        longest: tokens of the longest record.

    Raises:
        UsageError: `base_model` cannot be read, or its positions do not reach the records' length.
    """
    from transformers import AutoModelForMaskedLM, BertConfig

    if config.base_model is not None:
        try:
            lm = AutoModelForMaskedLM.from_pretrained(config.base_model, attn_implementation="sdpa").float()
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot be loaded: {error}", where=f"base_model {config.base_model}") from None
    else:
        small = config.model
        torch.manual_seed(hash64(config.seed, "model"))
        lm = AutoModelForMaskedLM.from_config(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=small.hidden,
                num_hidden_layers=small.layers,
                num_attention_heads=small.heads,
                intermediate_size=4 * small.hidden,
                hidden_dropout_prob=small.dropout,
                attention_probs_dropout_prob=small.dropout,
                max_position_embeddings=longest,
                pad_token_id=tokenizer.pad_token_id,
                # BERT's .02 is for 768 units; this keeps the variance of what narrower matrices pass on.
                initializer_range=1 / math.sqrt(small.hidden),
            ),
            attn_implementation="sdpa",
        )
    model = PackedMaskedLM(lm)
    if model.longest < longest:
        raise UsageError(
            f"the model's positions reach {model.longest} tokens, {longest} are asked for",
            where="max_length",
        )
    return model


def open_lm(folder: str | Path) -> tuple[PackedMaskedLM, "PreTrainedTokenizerFast"]:
    """A trained model and its tokenizer, in evaluation mode, on a GPU where there is one.

    Raises:
        UsageError: the folder holds none.
    """
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    try:
        lm = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="sdpa").float()
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be loaded: {error}", where=f"model {folder}") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return PackedMaskedLM(lm).eval().to(device), tokenizer
