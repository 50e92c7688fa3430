"""Masked language models on packed rows, with logits at the predicted tokens only."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import UsageError
from kgcorpus.importance.pretrained import check_embeddings
from trainer.config import TrainingConfig
from trainer.encoders import ENCODERS, encoder_class
from trainer.head import LOGITS_AT_ONCE, TrainedRows, linear_cross_entropy
from trainer.pretrained import load_model, load_tokenizer, model_type_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class TiedTable(Protocol):
    """The embedding table at both ends of the model, where not all of its rows are trained."""

    def look_up(self, ids: Tensor) -> Tensor:
        """The embeddings [..., hidden] of ids [...]."""

    def scores(self, states: Tensor, bias: Tensor) -> Tensor:
        """The table's products [tokens, vocabulary] with states [tokens, hidden], plus the bias."""

    @property
    def trained(self) -> TrainedRows:
        """The rows that are trained, for `linear_cross_entropy`."""


class PackedMaskedLM(nn.Module):
    """A masked language model of transformers, taken apart (`trainer.encoders`).

    Attributes:
        lm: the transformers model; the parts below are its own.
        tied_table: what reads the embedding table instead of `lm`; None: `lm` itself.

    Raises:
        UsageError: a model of a family that is not known.
    """

    def __init__(self, lm: "PreTrainedModel") -> None:
        super().__init__()
        self.lm = lm
        self.tied_table: TiedTable | None = None
        self._encoder = encoder_class(lm.config.model_type)(lm)

    @property
    def longest(self) -> int:
        """Tokens of the longest record that the positions reach."""
        return self._encoder.longest

    @property
    def layers(self) -> list[nn.Module]:
        """The transformer layers, from the lowest."""
        return self._encoder.layers

    def require(self, part: Literal["SPLITS", "ROUTES"], work: str, *, otherwise: str = "") -> None:
        """Check what the model's family offers.

        Args:
            part: an attribute of `trainer.encoders.Encoder`.
            work: what needs it, for the error.
            otherwise: what the user can do with this model, for the hint.

        Raises:
            UsageError: the family does not offer it.
        """
        if not getattr(self._encoder, part):
            known = [name for name, encoder in ENCODERS.items() if getattr(encoder, part)]
            raise UsageError(
                f"{work} does not work with a model of type {self.lm.config.model_type}",
                where="base_model",
                hint=f"{otherwise}The types that it works with are: {', '.join(known)}",
            )

    def words(self, ids: Tensor) -> Tensor:
        """The word embeddings [..., embedding size] of ids [...], without positions and LayerNorm."""
        if self.tied_table is not None:
            return self.tied_table.look_up(ids)
        embedded: Tensor = self.lm.get_input_embeddings()(ids)
        return embedded

    def states(
        self,
        ids: Tensor,
        segments: Tensor,
        positions: Tensor,
        *,
        words: Tensor | None = None,
        at: Tensor | None = None,
    ) -> Tensor:
        """The last layer's states [rows, length, hidden], or [tokens, hidden] at some places.

        A token sees its own record only.

        Args:
            ids, segments, positions: [rows, length], of `trainer.packing.Packed`.
            words: [rows, length, embedding size], read instead of the ids' word embeddings.
            at: [tokens], places in the flattened rows; the fewer, the less the last layer computes.
        """
        return self._encoder.states(self.words(ids) if words is None else words, segments, positions, at=at)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]; needs `require("SPLITS", ...)`."""
        return self._encoder.embed(self.words(ids), positions)

    def run_layers(
        self, layers: slice, states: Tensor, segments: Tensor, *, at: Tensor | None = None
    ) -> Tensor:
        """States [rows, length, hidden] taken through some layers; `embed`, then all of them: `states`.

        Args:
            layers: at least one.
            states: [rows, length, hidden].
            segments: [rows, length].
            at: [tokens], places in the flattened rows; only their states [tokens, hidden] are returned.
        """
        return self._encoder.run_layers(layers, states, segments, at=at)

    def logits(self, states: Tensor) -> Tensor:
        """The head's scores [tokens, vocabulary] of states [tokens, hidden]."""
        return self._scores(self.transform(states))

    def losses(self, states: Tensor, labels: Tensor, *, factors: Tensor | None = None) -> Tensor:
        """The cross-entropy [tokens] of the labels, in float32; its scores never exist as a whole.

        Args:
            states: [tokens, hidden].
            labels: [tokens].
            factors: [tokens], what the losses' gradient will be, up to one number common to all of them: the
                backward pass then computes no score again.
        """
        tied = self.tied_table
        table, bias = self._encoder.decoder() if tied is None else (self.table, self.bias)
        trained = None if tied is None else tied.trained
        transformed = self.transform(states)
        return linear_cross_entropy(transformed, labels, table, bias, factors=factors, trained=trained)

    def loss(self, states: Tensor, labels: Tensor) -> Tensor:
        """The sum of `losses`."""
        ones = torch.ones(len(labels), device=labels.device)
        return self.losses(states, labels, factors=ones).sum()

    def best(self, transformed: Tensor) -> Tensor:
        """The ids [tokens] with the highest scores for what `transform` gave [tokens, embedding size]."""
        tokens = max(1, LOGITS_AT_ONCE // len(self.table))
        return torch.cat([self._scores(part).argmax(dim=1) for part in transformed.split(tokens)])

    def scores(self, transformed: Tensor) -> Iterator[Tensor]:
        """The scores [vocabulary] of each token of `best`; at most `LOGITS_AT_ONCE` exist at a time."""
        for part in transformed.split(max(1, LOGITS_AT_ONCE // len(self.table))):
            yield from self._scores(part)

    def _scores(self, transformed: Tensor) -> Tensor:
        if self.tied_table is not None:
            return self.tied_table.scores(transformed, self.bias)
        return nn.functional.linear(transformed, *self._encoder.decoder())

    def transform(self, states: Tensor) -> Tensor:
        """The head's dense layer, GELU and LayerNorm of states [tokens, hidden]; the table comes next."""
        return self._encoder.transform(states)

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        return self._encoder.transform_parameters()

    @property
    def table(self) -> Tensor:
        """The word embeddings [vocabulary, embedding size], tied to the head's output."""
        embeddings: Any = self.lm.get_input_embeddings()
        weight: Tensor = embeddings.weight
        return weight

    @property
    def bias(self) -> Tensor:
        """The head's output bias [vocabulary]; zeros where the model has none."""
        bias = self._encoder.decoder()[1]
        return self.table.new_zeros(len(self.table)) if bias is None else bias


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
        where = f"base_model {config.base_model}"
        encoder = encoder_class(model_type_of(config.base_model, where=where))
        lm = load_model(
            AutoModelForMaskedLM,
            config.base_model,
            where=where,
            # A plain encoder has no head; a new one is trained.
            new=tuple(f"{head}." for head in encoder.HEADS),
        ).float()
        check_embeddings(lm, tokenizer, where=where)
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
    encoder_class(model_type_of(folder, where=where))
    lm = load_model(AutoModelForMaskedLM, folder, where=where)
    check_embeddings(lm, tokenizer, where=where)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return PackedMaskedLM(lm.float()).eval().to(device), tokenizer
