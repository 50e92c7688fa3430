"""JAKET's model (arXiv 2010.00796, section 3): LM1, the knowledge module, their merge, LM2 and the heads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    PretrainedConfig,
    PreTrainedModel,
)

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.importance.pretrained import check_embeddings, read_settings
from trainer.jaket.gat import GatLayer, HopTensors, KnowledgeModule
from trainer.jaket.graph import Directions
from trainer.masked_lm import PackedMaskedLM
from trainer.pretrained import load_model, load_tokenizer, not_loaded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from trainer.jaket.config import JaketConfig

Merge = Literal["norm", "norm_at_mentions", "gate"]
# Beside the model's own: the memory, and LM1's weights as they were before training.
MEMORY, FIRST_LOWER = "memory.safetensors", "lm1_before_training.safetensors"


class JaketModelConfig(PretrainedConfig):
    """What `JaketModel` is made of.

    Args:
        lm: the configuration of the BERT, RoBERTa or XLM-R, as a dictionary with its `model_type`.
        split_layer: how many of its layers are LM1.
        gat_layers, gat_heads, neighbours, directions, merge: as in `trainer.jaket.config.JaketConfig`.
        trained_relations: whether relations have embeddings of their own; else they are zeros.
        text_relations: whether training read relation vectors made of labels instead.
        scaled_entity_scores: whether a mention's scores are divided by the root of the hidden size.
        description_length: tokens of a description, special tokens left out.
        relations: the graph's relations by id; the inverse of relation i has the id i + len(relations).
        categories: the entities' categories by id.
        unseen_share, unseen_seed: which entities training left aside.
        entities_key: whose embeddings the memory holds: `trainer.jaket.entities.GraphStore.entities_key`.
    """

    model_type = "jaket"

    def __init__(
        self,
        lm: dict[str, Any] | None = None,
        *,
        split_layer: int = 1,
        gat_layers: int = 2,
        gat_heads: int = 8,
        neighbours: int = 10,
        directions: Directions = "both",
        merge: Merge = "norm",
        trained_relations: bool = False,
        text_relations: bool = False,
        scaled_entity_scores: bool = False,
        description_length: int = 64,
        relations: Sequence[str] = (),
        categories: Sequence[str] = (),
        unseen_share: float = 0.0,
        unseen_seed: int = 0,
        entities_key: str = "",
        **others: Any,
    ) -> None:
        self.lm = {"model_type": "bert"} if lm is None else lm
        self.split_layer = split_layer
        self.gat_layers, self.gat_heads = gat_layers, gat_heads
        self.neighbours, self.directions, self.merge = neighbours, directions, merge
        self.trained_relations, self.text_relations = trained_relations, text_relations
        self.scaled_entity_scores = scaled_entity_scores
        self.description_length = description_length
        self.relations, self.categories = list(relations), list(categories)
        self.unseen_share, self.unseen_seed = unseen_share, unseen_seed
        self.entities_key = entities_key
        super().__init__(**others)


class JaketModel(PreTrainedModel):
    """Text and graph in one model.

    The text's tokens go through LM1; to those of linked mentions E^KM is added, which the knowledge module
    makes from the entities' context embeddings; LM2 continues from there.

    Raises:
        UsageError: the language model cannot be split at `split_layer`.
    """

    config_class = JaketModelConfig
    _supports_sdpa = True
    config: JaketModelConfig

    def __init__(self, config: JaketModelConfig) -> None:
        super().__init__(config)
        lm_config = AutoConfig.for_model(**config.lm)
        hidden, depth = lm_config.hidden_size, lm_config.num_hidden_layers
        if not 0 < config.split_layer < depth:
            raise UsageError(
                f"{depth} layers cannot be split after {config.split_layer}", where="jaket.split_layer"
            )
        # A direct child, so that transformers ties its embeddings when it loads the whole.
        self.lm = AutoModelForMaskedLM.from_config(lm_config, trust_remote_code=False)
        edge_kinds = (2 if config.directions == "both" else 1) * len(config.relations)
        self.knowledge = KnowledgeModule(
            hidden,
            heads=config.gat_heads,
            layers=config.gat_layers,
            relation_rows=edge_kinds if config.trained_relations else 0,
        )
        # One of the two: no weight that nothing reads is written.
        if config.merge == "gate":
            self.merge_gate = nn.Parameter(torch.zeros(hidden))
        else:
            self.merge_norm = nn.LayerNorm(hidden)
        self.category_head = nn.Linear(hidden, max(1, len(config.categories)))
        self.relation_head = nn.Linear(2 * hidden, max(1, edge_kinds))
        query = nn.Linear(hidden, hidden)
        self.entity_head = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), query)
        self._scale = hidden**-0.5 if config.scaled_entity_scores else 1.0
        self.post_init()
        # An unscaled product of d terms: with the usual weights its first losses would drown the others'.
        nn.init.normal_(query.weight, std=1 / hidden)

    @classmethod
    def around(
        cls,
        text: PackedMaskedLM,
        options: "JaketConfig",
        *,
        relations: Sequence[str],
        categories: Sequence[str],
        seed: int,
        entities_key: str = "",
    ) -> "JaketModel":
        """A new model around a language model; all else is drawn from torch's generator.

        Raises:
            UsageError: `split_layer` or `gat_heads` do not fit the language model.
        """
        lm = text.lm.config
        model = cls(
            JaketModelConfig(
                {**lm.to_diff_dict(), "model_type": lm.model_type},
                split_layer=options.split_layer or lm.num_hidden_layers // 2,
                gat_layers=options.gat_layers,
                gat_heads=options.gat_heads,
                neighbours=options.neighbours,
                directions=options.directions,
                merge=options.merge,
                trained_relations=options.relation_embeddings == "trained",
                text_relations=options.relation_embeddings == "texts",
                scaled_entity_scores=options.scaled_entity_scores,
                description_length=options.description_length,
                relations=relations,
                categories=categories,
                unseen_share=options.unseen_share,
                unseen_seed=seed,
                entities_key=entities_key,
            )
        )
        model.lm.load_state_dict(text.lm.state_dict())
        return model

    @property
    def text(self) -> PackedMaskedLM:
        """The language model, taken apart."""
        return PackedMaskedLM(self.lm)

    def lower_weights(self) -> dict[str, Tensor]:
        """LM1's weights, by their names in `lm`."""
        parts = [".embeddings.", *(f".encoder.layer.{i}." for i in range(self.config.split_layer))]
        weights = self.lm.state_dict()
        return {name: weights[name] for name in weights if any(part in name for part in parts)}

    def lower(self, ids: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """LM1's states [rows, length, d] of packed rows (`trainer.packing.Packed`)."""
        text, layers = self.text, slice(0, self.config.split_layer)
        return text.run_layers(layers, text.embed(ids, positions), segments)

    def upper(
        self,
        states: Tensor,
        segments: Tensor,
        *,
        places: Tensor,
        knowledge: Tensor,
        at: Tensor | None = None,
    ) -> Tensor:
        """LM2's states [rows, length, d] of Z', which merges Z and E^KM.

        Z' = LN(Z + E^KM at mentions) (section 3.4); with `merge: norm_at_mentions`, LN(Z + E^KM) at mentions
        and Z elsewhere; with `gate`, Z + tanh(g) E^KM at mentions, where g [d] starts at 0, and Z elsewhere.

        Args:
            states: Z [rows, length, d], of `lower`.
            segments: [rows, length].
            places: [tokens], the mentions' tokens in the flattened rows, each once.
            knowledge: [tokens, d], the E^KM of each one's entity.
            at: [read], places in the flattened rows; only their states [read, d] are returned.
        """
        flat = states.flatten(0, 1)
        if self.config.merge == "norm":
            merged = self.merge_norm(flat.index_add(0, places, knowledge.to(flat.dtype)))
        elif self.config.merge == "norm_at_mentions":
            merged = flat.index_copy(0, places, self.merge_norm(flat[places] + knowledge).to(flat.dtype))
        else:
            gated = torch.tanh(self.merge_gate) * knowledge
            merged = flat.index_add(0, places, gated.to(flat.dtype))
        layers = slice(self.config.split_layer, None)
        return self.text.run_layers(layers, merged.view_as(states), segments, at=at)

    def forward(
        self,
        ids: Tensor,
        segments: Tensor,
        positions: Tensor,
        *,
        context: Tensor,
        hops: Sequence[HopTensors],
        places: Tensor,
        entities: Tensor,
        relations: Tensor | None = None,
        at: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The last states [rows, length, d] of packed text, and E^KM [targets, d].

        Args:
            ids, segments, positions: [rows, length].
            context: [nodes, d], the memory's embeddings of the nodes that the first hop reads.
            hops: of the knowledge module.
            places: [tokens], where E^KM is merged, in the flattened rows.
            entities: [tokens], whose: rows of the last hop's output.
            relations: [relations, d], embeddings of relations in the place of the model's own.
            at: [read], places in the flattened rows; only their states [read, d] are returned.
        """
        knowledge = self.knowledge(context, hops, relations=relations)
        lower = self.lower(ids, segments, positions)
        return self.upper(lower, segments, places=places, knowledge=knowledge[entities], at=at), knowledge

    def entity_scores(self, first: Tensor, last: Tensor, candidates: Tensor) -> Tensor:
        """How well each candidate fits each removed mention [mentions, candidates].

        q = W2 GELU(W1 (Z_s + Z_o) / 2), and a score is q · E of the candidate's context embedding.

        Args:
            first, last: [mentions, d], the last states of a mention's first and last token.
            candidates: [mentions, candidates, d].
        """
        query = self.entity_head((first + last) / 2)
        return torch.einsum("md,mcd->mc", query, candidates.to(query.dtype)) * self._scale

    def relation_scores(self, pairs: Tensor) -> Tensor:
        """Scores [pairs, relations] of the relation from one entity to the other, of E^KM [pairs, 2, d]."""
        scores: Tensor = self.relation_head(pairs.flatten(1))
        return scores

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embeddings."""
        return self.lm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """The language model's output embeddings, tied to the input's where it ties them."""
        return self.lm.get_output_embeddings()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, GatLayer):
            module.reset()
        elif isinstance(module, nn.Linear):
            # BERT's .02 is for 768 units; this keeps the variance of what narrower matrices pass on.
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, JaketModel) and module.config.merge == "gate":
            nn.init.zeros_(module.merge_gate)


AutoConfig.register(JaketModelConfig.model_type, JaketModelConfig)
AutoModel.register(JaketModelConfig, JaketModel)


def open_jaket(folder: str | Path) -> tuple[JaketModel, "PreTrainedTokenizerFast"]:
    """A trained model and its tokenizer, in evaluation mode, on a GPU where there is one.

    Raises:
        UsageError: the folder holds none.
        InputError: its weights are damaged or incomplete.
    """
    where = f"model {folder}"
    verify_model(folder)
    try:
        if read_settings(folder).get("model_type") != JaketModelConfig.model_type:
            raise ValueError("it is no model of `train jaket`")
    except (OSError, ValueError) as error:
        raise not_loaded(error, source=folder, where=where) from None
    tokenizer = load_tokenizer(folder, where=where)
    model: JaketModel = load_model(JaketModel, folder, where=where)
    check_embeddings(model, tokenizer, where=where)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def jaket_config(folder: str | Path) -> JaketModelConfig | None:
    """The configuration of a model of `train jaket`; None of any other, and of one that cannot be read.

    Raises:
        InputError: a file of the folder is damaged, or is a pipe or a device.
    """
    verify_model(folder)
    if not Path(folder, "config.json").is_file():
        return None
    try:
        settings = read_settings(folder)
        is_jaket = settings.get("model_type") == JaketModelConfig.model_type
        return JaketModelConfig(**settings) if is_jaket else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
