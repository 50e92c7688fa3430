"""The families of masked language models that can be trained, and where each keeps its parts.

Records share a row (`trainer.packing`), and attention is kept within each (`trainer.attention`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from torch import Tensor, nn

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError
from trainer.attention import WITHIN_RECORDS, Records, register
from trainer.disentangled import attend_by_distances, convolve


class Encoder:
    """BERT, and what other families have in common with it.

    Args:
        lm: the transformers model, with its masked-language-model head. Its attention is set to
            `trainer.attention` where the family's can be; without packed rows it computes what it did.

    Raises:
        EnvironmentLacksError: transformers is older than 5.

    Attributes:
        BACKBONE, HEADS: names of the model's parts: the encoder, and the modules of the head.
        OWN_ATTENTION: transformers cannot exchange the family's attention.
        SPLITS: `embed` and `run_layers` work, so that something can be done between two layers.
        ROUTES: `trainer.trelm.routing.blocks` knows the feed-forward block of the layers.
    """

    BACKBONE = "bert"
    HEADS: tuple[str, ...] = ("cls",)
    OWN_ATTENTION = False
    SPLITS = True
    ROUTES = True

    def __init__(self, lm: Any) -> None:
        installed = version("transformers")
        # Before 5 not every family's attention can be exchanged.
        if int(installed.partition(".")[0]) < 5:
            raise EnvironmentLacksError(
                f"training needs transformers 5 or newer, not {installed}",
                where="transformers",
                hint="Run: pip install 'transformers>=5,<6'",
            )
        self._lm = lm
        if not self.OWN_ATTENTION and lm.config._attn_implementation != WITHIN_RECORDS:
            register()
            lm.set_attn_implementation(WITHIN_RECORDS)

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
    def layers(self) -> list[nn.Module]:
        """The transformer layers, from the lowest."""
        return list(self.backbone.encoder.layer)

    def states(
        self, words: Tensor, segments: Tensor, positions: Tensor, *, at: Tensor | None = None
    ) -> Tensor:
        """The last layer's states [rows, length, hidden], or [tokens, hidden] at some places.

        Args:
            words: [rows, length, embedding size], word embeddings without positions and LayerNorm.
            segments, positions: [rows, length], of `trainer.packing.Packed`.
            at: [tokens], places in the flattened rows, the only ones behind the last layer's attention.
        """
        return self._run(self.layers, self.embed(words, positions), Records.of(segments), positions, at)

    def embed(self, words: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]; arguments as of `states`."""
        embedded: Tensor = self.backbone.embeddings(inputs_embeds=words, position_ids=positions + self.shift)
        return embedded

    def run_layers(
        self, layers: slice, states: Tensor, segments: Tensor, *, at: Tensor | None = None
    ) -> Tensor:
        """States [rows, length, hidden] taken through some layers, at least one; `at` as of `states`."""
        return self._run(self.layers[layers], states, Records.of(segments), None, at)

    def _run(
        self,
        layers: Sequence[nn.Module],
        states: Tensor,
        records: Records,
        positions: Tensor | None,
        at: Tensor | None,
    ) -> Tensor:
        for layer in layers:
            last = layer is layers[-1]
            arguments = self._arguments(layer, states, records, positions)
            states = self._through(layer, states, arguments, at if last else None)
        return states

    def _arguments(
        self, layer: Any, states: Tensor, records: Records, positions: Tensor | None
    ) -> Mapping[str, Any]:
        """What a layer reads besides the states."""
        return {"records": records}

    def _through(self, layer: Any, states: Tensor, arguments: Mapping[str, Any], at: Tensor | None) -> Tensor:
        """The states behind a layer, [rows, length, hidden], or [tokens, hidden] at some places."""
        if at is None:
            found: Tensor = layer(states, **arguments)
            return found
        return _checkpointed(layer, partial(self._through_at, layer, arguments, at), states)

    def _through_at(self, layer: Any, arguments: Mapping[str, Any], at: Tensor, states: Tensor) -> Tensor:
        context, _ = layer.attention.self(states, **arguments)
        attended = layer.attention.output(_places(context, at), _places(states, at))
        # Routing puts another block in its place.
        found: Tensor = layer.feed_forward_chunk(attended)
        return found

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

    SPLITS = ROUTES = False

    def states(
        self, words: Tensor, segments: Tensor, positions: Tensor, *, at: Tensor | None = None
    ) -> Tensor:
        """The last layer's states [rows, length, hidden], or [tokens, hidden]; as of `Encoder.states`."""
        normed: Tensor = self.backbone.encoder.LayerNorm(super().states(words, segments, positions, at=at))
        return normed

    def _through_at(self, layer: Any, arguments: Mapping[str, Any], at: Tensor, states: Tensor) -> Tensor:
        context, _ = layer.attention.self(layer.attention.self_attn_layer_norm(states), **arguments)
        attended = layer.attention.output(_places(context, at), _places(states, at))
        found: Tensor = layer.feed_forward_chunk(attended)
        return found


class Electra(Encoder):
    """ELECTRA's generator, whose embeddings may be narrower than its states."""

    BACKBONE, HEADS, SPLITS = "electra", ("generator_predictions", "generator_lm_head"), False

    def embed(self, words: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]; arguments as of `Encoder.states`."""
        embedded = super().embed(words, positions)
        if hasattr(self.backbone, "embeddings_project"):
            embedded = self.backbone.embeddings_project(embedded)
        return embedded

    def transform(self, states: Tensor) -> Tensor:
        """What the head's last product with the table reads [tokens, embedding size]."""
        transformed: Tensor = self._lm.generator_predictions(states)
        return transformed

    def transform_parameters(self) -> list[nn.Parameter]:
        """Those of `transform`."""
        return list(self._lm.generator_predictions.parameters())


class DebertaV2(Encoder):
    """DeBERTa v2 and v3, mDeBERTa: attention by distances, and in v2 XL a convolution beside layer 0."""

    BACKBONE, HEADS, OWN_ATTENTION = "deberta", ("cls", "lm_predictions"), True
    SPLITS = ROUTES = False

    def embed(self, words: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]; arguments as of `Encoder.states`."""
        embedded: Tensor = self.backbone.embeddings(inputs_embeds=words, position_ids=positions)
        return embedded

    def _through(self, layer: Any, states: Tensor, arguments: Mapping[str, Any], at: Tensor | None) -> Tensor:
        encoder = self.backbone.encoder
        mixed = encoder.conv is not None and layer is encoder.layer[0]
        part = partial(self._through_at, layer, arguments, None if mixed else at)
        found = _checkpointed(layer, part, states)
        if mixed:
            found = convolve(encoder.conv, states, found, arguments["records"])
            return found if at is None else _places(found, at)
        return found

    def _through_at(
        self, layer: Any, arguments: Mapping[str, Any], at: Tensor | None, states: Tensor
    ) -> Tensor:
        distances = self.backbone.encoder.get_rel_embedding()
        context = attend_by_distances(layer.attention.self, states, distances, arguments["records"])
        if at is not None:
            context, states = _places(context, at), _places(states, at)
        attended = layer.attention.output(context, states)
        found: Tensor = layer.output(layer.intermediate(attended), attended)
        return found

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

    BACKBONE, HEADS, SPLITS = "model", ("head", "decoder"), False

    @property
    def layers(self) -> list[nn.Module]:
        """The transformer layers, from the lowest."""
        return list(self.backbone.layers)

    def states(
        self, words: Tensor, segments: Tensor, positions: Tensor, *, at: Tensor | None = None
    ) -> Tensor:
        """The last layer's states [rows, length, hidden], or [tokens, hidden]; as of `Encoder.states`."""
        normed: Tensor = self.backbone.final_norm(super().states(words, segments, positions, at=at))
        return normed

    def embed(self, words: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads [rows, length, hidden]; arguments as of `Encoder.states`."""
        embedded: Tensor = self.backbone.embeddings(inputs_embeds=words)
        return embedded

    def _arguments(
        self, layer: Any, states: Tensor, records: Records, positions: Tensor | None
    ) -> Mapping[str, Any]:
        rotation = self.backbone.rotary_emb(states, positions, layer.attention_type)
        return {"records": records, "position_embeddings": rotation}

    def _through_at(self, layer: Any, arguments: Mapping[str, Any], at: Tensor, states: Tensor) -> Tensor:
        attended, _ = layer.attn(layer.attn_norm(states), **arguments)
        read = _places(states + attended, at)
        found: Tensor = read + layer.mlp(layer.mlp_norm(read))
        return found

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


def _places(states: Tensor, at: Tensor) -> Tensor:
    """The states [tokens, hidden] at places in the flattened rows."""
    return states.flatten(0, 1).index_select(0, at)


def _checkpointed(layer: Any, function: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    """`function(states)`, computed again in the backward pass where the layer's activations are."""
    if layer.gradient_checkpointing and layer.training:
        found: Tensor = layer._gradient_checkpointing_func(function, states)
        return found
    return function(states)
