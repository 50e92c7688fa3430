"""The families of masked language models that can be trained, and where each keeps its parts.

Records lie side by side in a row (`trainer.packing`). A family is packed where its attention takes a
block-diagonal mask and nothing else crosses the border of two records; elsewhere each record has a row of its
own.
"""

from importlib.metadata import version
from typing import Any

from torch import Tensor, nn

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError


class Encoder:
    """BERT, and what other families have in common with it.

    Args:
        lm: the transformers model, with its masked-language-model head.

    Attributes:
        BACKBONE, HEADS: names of the model's parts: the encoder, and the modules of the head.
        ATTENTION: the implementation that transformers is asked for; None for its default.
        HAS_BLOCKS: `embed` and `run_layers` work, and each layer has the feed-forward block of BERT.
    """

    BACKBONE = "bert"
    HEADS: tuple[str, ...] = ("cls",)
    ATTENTION: str | None = "sdpa"
    HAS_BLOCKS = True

    def __init__(self, lm: Any) -> None:
        self._lm = lm

    @property
    def backbone(self) -> Any:
        """The model without its head."""
        return getattr(self._lm, self.BACKBONE)

    @property
    def longest(self) -> int:
        """Tokens of the longest record that the positions reach."""
        return int(self._lm.config.max_position_embeddings) - self.shift

    @property
    def shift(self) -> int:
        """The position of a record's first token."""
        return 0

    @property
    def packs(self) -> bool:
        """Whether records may share a row."""
        return True

    @property
    def layers(self) -> list[nn.Module]:
        """The transformer layers, from the lowest."""
        return list(self.backbone.encoder.layer)

    def states(self, words: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """The last layer's states [rows, length, hidden].

        Args:
            words: [rows, length, embedding size], word embeddings without positions and LayerNorm.
            segments, positions: [rows, length], of `trainer.packing.Packed`.
        """
        output = self.backbone(
            inputs_embeds=words,
            attention_mask=same_record(segments),
            position_ids=positions + self.shift,
        )
        states: Tensor = output.last_hidden_state
        return states

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]."""
        embeddings: Tensor = self.backbone.embeddings(input_ids=ids, position_ids=positions + self.shift)
        return embeddings

    def run_layers(self, layers: slice, states: Tensor, segments: Tensor) -> Tensor:
        """States [rows, length, hidden] taken through some layers."""
        visible = same_record(segments)
        for layer in self.backbone.encoder.layer[layers]:
            output = layer(states, visible)
            # Before transformers 5 a layer gave a tuple.
            states = output[0] if isinstance(output, tuple) else output
        return states

    def transform(self, states: Tensor) -> Tensor:
        """What the head's last product with the table reads [tokens, embedding size]."""
        transformed: Tensor = self._lm.cls.predictions.transform(states)
        return transformed

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        return list(self._lm.cls.predictions.transform.parameters())

    def decoder(self) -> tuple[Tensor, Tensor | None]:
        """The weight [vocabulary, embedding size] and bias [vocabulary] of the head's last product."""
        layer = self._lm.get_output_embeddings()
        return layer.weight, layer.bias


class Roberta(Encoder):
    """RoBERTa, XLM-R and CamemBERT: positions are counted from the padding token's id + 1."""

    BACKBONE, HEADS = "roberta", ("lm_head",)

    @property
    def shift(self) -> int:
        """The position of a record's first token."""
        return int(self._lm.config.pad_token_id) + 1

    def transform(self, states: Tensor) -> Tensor:
        """What the head's last product with the table reads [tokens, hidden]."""
        head = self._lm.lm_head
        transformed: Tensor = head.layer_norm(nn.functional.gelu(head.dense(states)))
        return transformed

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        head = self._lm.lm_head
        return [*head.dense.parameters(), *head.layer_norm.parameters()]


class XlmRobertaXl(Roberta):
    """XLM-R XL and XXL: each block begins with its LayerNorm, and one follows the last layer."""

    HAS_BLOCKS = False


class Electra(Encoder):
    """ELECTRA's generator, whose embeddings may be narrower than its states."""

    BACKBONE, HEADS, HAS_BLOCKS = "electra", ("generator_predictions", "generator_lm_head"), False

    def transform(self, states: Tensor) -> Tensor:
        """What the head's last product with the table reads [tokens, embedding size]."""
        transformed: Tensor = self._lm.generator_predictions(states)
        return transformed

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        return list(self._lm.generator_predictions.parameters())


class DebertaV2(Encoder):
    """DeBERTa v2 and v3, mDeBERTa: attention by distances, which are the same in a shared row.

    A convolution beside the first layer (v2 XL and XXL) reads the neighbours of a record's ends.
    """

    BACKBONE, HEADS, ATTENTION, HAS_BLOCKS = "deberta", ("cls", "lm_predictions"), None, False

    @property
    def packs(self) -> bool:
        """Whether records may share a row."""
        return self.backbone.encoder.conv is None

    def states(self, words: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """The last layer's states [rows, length, hidden]; arguments as of `Encoder.states`."""
        read = (segments > 0).long()
        embedded = self.backbone.embeddings(inputs_embeds=words, position_ids=positions, mask=read)
        visible = same_record(segments) if self.packs else read
        states: Tensor = self.backbone.encoder(embedded, visible).last_hidden_state
        return states

    def _head(self) -> Any:
        legacy = self._lm.config.legacy
        return self._lm.cls.predictions.transform if legacy else self._lm.lm_predictions.lm_head

    def transform(self, states: Tensor) -> Tensor:
        """What the head's last product with the table reads [tokens, hidden]."""
        head = self._head()
        if self._lm.config.legacy:
            transformed: Tensor = head(states)
            return transformed
        return head.LayerNorm(head.transform_act_fn(head.dense(states)))

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        head = self._head()
        return [*head.dense.parameters(), *head.LayerNorm.parameters()]

    def decoder(self) -> tuple[Tensor, Tensor | None]:
        """The weight [vocabulary, hidden] and bias [vocabulary] of the head's last product."""
        if self._lm.config.legacy:
            return super().decoder()
        return self._lm.get_input_embeddings().weight, self._lm.lm_predictions.lm_head.bias


class ModernBert(Encoder):
    """ModernBERT and mmBERT: rotary positions, and in most layers a window of attention."""

    BACKBONE, HEADS, HAS_BLOCKS = "model", ("head", "decoder"), False

    def __init__(self, lm: Any) -> None:
        super().__init__(lm)
        installed = version("transformers")
        # Before 5 the model makes its masks from padding alone.
        if int(installed.partition(".")[0]) < 5:
            raise EnvironmentLacksError(
                f"ModernBERT needs transformers 5 or newer, not {installed}",
                where="base_model",
                hint="Run: pip install 'transformers>=5,<6'",
            )

    @property
    def layers(self) -> list[nn.Module]:
        """The transformer layers, from the lowest."""
        return list(self.backbone.layers)

    def states(self, words: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """The last layer's states [rows, length, hidden]; arguments as of `Encoder.states`."""
        visible = same_record(segments)
        distance = (positions[:, None, :, None] - positions[:, None, None, :]).abs()
        near = visible & (distance <= int(self._lm.config.sliding_window))
        masks = {"full_attention": visible, "sliding_attention": near}
        output = self.backbone(inputs_embeds=words, attention_mask=masks, position_ids=positions)
        states: Tensor = output.last_hidden_state
        return states

    def transform(self, states: Tensor) -> Tensor:
        """What the head's last product with the table reads [tokens, hidden]."""
        transformed: Tensor = self._lm.head(states)
        return transformed

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        return list(self._lm.head.parameters())


ENCODERS: dict[str, type[Encoder]] = {
    "bert": Encoder,
    "roberta": Roberta,
    "xlm-roberta": Roberta,
    "camembert": Roberta,
    "xlm-roberta-xl": XlmRobertaXl,
    "electra": Electra,
    "deberta-v2": DebertaV2,
    "modernbert": ModernBert,
}


def encoder_class(model_type: str) -> type[Encoder]:
    """The class for a `model_type` of a config.json.

    Raises:
        UsageError: none is known.
    """
    if model_type not in ENCODERS:
        raise UsageError(
            f"a model of type {model_type} cannot be trained",
            where="base_model",
            hint=f"The types are: {', '.join(ENCODERS)}",
        )
    return ENCODERS[model_type]


def same_record(segments: Tensor) -> Tensor:
    """Which token sees which: those of its own record [rows, 1, length, length].

    Padding tokens form a block of their own: a row without any visible token would give nan.
    """
    visible: Tensor = (segments[:, None, :, None] == segments[:, None, None, :]).contiguous()
    return visible
