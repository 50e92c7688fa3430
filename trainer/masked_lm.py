"""BERT, RoBERTa and XLM-R on packed rows, with logits at the predicted tokens only."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import UsageError
from kgcorpus.importance.pretrained import check_embeddings
from trainer.config import TrainingConfig
from trainer.pretrained import load_model, load_tokenizer

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
                hint=f"The types are: {', '.join(_FAMILIES)}",
            )
        self.lm = lm
        self._family = _FAMILIES[kind]
        self._shift = lm.config.pad_token_id + 1 if self._family.shifted else 0

    @property
    def longest(self) -> int:
        """Tokens of the longest record that the positions reach."""
        return int(self.lm.config.max_position_embeddings) - self._shift

    @property
    def layers(self) -> list[nn.Module]:
        """The transformer layers, from the lowest."""
        backbone: Any = getattr(self.lm, self._family.backbone)
        return list(backbone.encoder.layer)

    def words(self, ids: Tensor) -> Tensor:
        """The word embeddings [..., hidden] of ids [...], without positions and LayerNorm."""
        embedded: Tensor = self.lm.get_input_embeddings()(ids)
        return embedded

    def states(
        self, ids: Tensor, segments: Tensor, positions: Tensor, *, words: Tensor | None = None
    ) -> Tensor:
        """The last layer's states [rows, length, hidden]; a token sees its own record alone.

        Args:
            ids, segments, positions: [rows, length], of `trainer.packing.Packed`.
            words: [rows, length, hidden], what stands in the place of the ids' word embeddings.
        """
        backbone: Any = getattr(self.lm, self._family.backbone)
        # Pads form a block of their own: a row without any visible token would give nan.
        visible = (segments[:, None, :, None] == segments[:, None, None, :]).contiguous()
        output = backbone(
            inputs_embeds=self.words(ids) if words is None else words,
            attention_mask=visible,
            position_ids=positions + self._shift,
        )
        states: Tensor = output.last_hidden_state
        return states

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]."""
        backbone: Any = getattr(self.lm, self._family.backbone)
        embeddings: Tensor = backbone.embeddings(input_ids=ids, position_ids=positions + self._shift)
        return embeddings

    def run_layers(self, layers: slice, states: Tensor, segments: Tensor) -> Tensor:
        """States [rows, length, hidden] taken through some layers; `embed`, then all of them: `states`."""
        backbone: Any = getattr(self.lm, self._family.backbone)
        visible = (segments[:, None, :, None] == segments[:, None, None, :]).contiguous()
        for layer in backbone.encoder.layer[layers]:
            output = layer(states, visible)
            # Before transformers 5 a layer gave a tuple.
            states = output[0] if isinstance(output, tuple) else output
        return states

    def logits(self, states: Tensor) -> Tensor:
        """The head's scores [tokens, vocabulary] of states [tokens, hidden]."""
        head: Any = getattr(self.lm, self._family.head)
        scores: Tensor = head(states)
        return scores

    def transform(self, states: Tensor) -> Tensor:
        """The head's dense layer, GELU and LayerNorm of states [tokens, hidden]; the table comes next."""
        head: Any = getattr(self.lm, self._family.head)
        if self._family.head == "cls":
            transformed: Tensor = head.predictions.transform(states)
            return transformed
        return head.layer_norm(nn.functional.gelu(head.dense(states)))

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        head: Any = getattr(self.lm, self._family.head)
        if self._family.head == "cls":
            return list(head.predictions.transform.parameters())
        return [*head.dense.parameters(), *head.layer_norm.parameters()]

    @property
    def table(self) -> Tensor:
        """The word embeddings [vocabulary, hidden], tied to the head's output."""
        embeddings: Any = self.lm.get_input_embeddings()
        weight: Tensor = embeddings.weight
        return weight

    @property
    def bias(self) -> Tensor:
        """The head's output bias [vocabulary]."""
        bias: Tensor = self.lm.get_output_embeddings().bias
        return bias


def load_lm(config: TrainingConfig, tokenizer: "PreTrainedTokenizerFast", *, longest: int) -> PackedMaskedLM:
    """The model a run starts from: `base_model`, or a small BERT drawn from the seed.

    Args:
        config: of the run.
        tokenizer: gives a new model its vocabulary.
        longest: tokens of the longest record.

    Raises:
        UsageError: `base_model` cannot be read, its positions do not reach the records' length, or it has
            fewer embeddings than the tokenizer has tokens.
        InputError: its weights are damaged, incomplete or not finite.
    """
    from transformers import AutoModelForMaskedLM, BertConfig

    torch.manual_seed(hash64(config.seed, "model"))
    if config.base_model is not None:
        lm = load_model(
            AutoModelForMaskedLM,
            config.base_model,
            where=f"base_model {config.base_model}",
            # A plain encoder has no head; a new one is trained.
            new=tuple(f"{family.head}." for family in _FAMILIES.values()),
            attn_implementation="sdpa",
        ).float()
        check_embeddings(lm, tokenizer, where=f"base_model {config.base_model}")
    else:
        small = config.model
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
        UsageError: the folder holds none, or a tokenizer of another model.
        InputError: its weights are damaged, incomplete or not finite.
    """
    from transformers import AutoModelForMaskedLM

    where = f"model {folder}"
    tokenizer = load_tokenizer(folder, where=where)
    lm = load_model(AutoModelForMaskedLM, folder, where=where, attn_implementation="sdpa")
    check_embeddings(lm, tokenizer, where=where)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return PackedMaskedLM(lm.float()).eval().to(device), tokenizer
