"""Settings of the objective `jaket`: model, tasks, memory and the entities left out."""

from typing import Literal

from pydantic import Field

from kgcorpus.config import Section


class JaketConfig(Section):
    """JAKET's model and objective (arXiv 2010.00796)."""

    split_layer: int | None = Field(
        None, gt=0, description="layers of the language model below the merge; null: half of them"
    )
    gat_layers: int = Field(2, gt=0, description="layers of the graph attention, each one hop")
    gat_heads: int = Field(4, gt=0, description="heads of the graph attention")
    neighbours: int = Field(
        10, ge=0, description="sampled neighbours a node and hop; 0: the control without a graph"
    )
    directions: Literal["both", "out"] = Field(
        "both", description="read edges both ways, or (the paper's print) from the head to the tail only"
    )
    relation_embeddings: Literal["zero", "trained", "texts"] = Field(
        "zero",
        description="zeros in pretraining, as in the paper; a trained table; or vectors that LM1 makes of "
        "the relations' labels, remade at each sweep. With the last two a predicted edge is hidden",
    )
    merge: Literal["norm", "norm_at_mentions", "gate"] = Field(
        "norm",
        description="how E^KM enters the text: the paper's LayerNorm at every token; the LayerNorm at the "
        "tokens of mentions only; or E^KM times a gate that starts at 0, without a LayerNorm. With the last "
        "two, text without mentions is read as by the plain language model",
    )
    passages: int = Field(
        16, gt=0, description="passages of an optimizer step over all ranks, in place of `records_per_step`"
    )
    roots: int = Field(128, gt=0, description="entities of an optimizer step over all ranks")
    walk_length: int = Field(2, gt=0, description="steps of the walk from each root, for the relation task")
    mlm_probability: float = Field(0.15, gt=0, le=1, description="share of the tokens predicted")
    entity_probability: float = Field(0.15, gt=0, le=1, description="share of the mentions removed")
    neighbour_negatives: int = Field(10, ge=0, description="negative neighbours for a removed entity")
    random_negatives: int = Field(20, ge=0, description="other negative entities")
    in_batch_negatives: bool = Field(
        False, description="tell it from the other removed entities of the forward pass, too"
    )
    scaled_entity_scores: bool = Field(
        False, description="divide a removed mention's scores by the root of the hidden size"
    )
    km_lr_scale: float = Field(
        1.0, gt=0, description="peak learning rate of all but the language model, relative to `lr`"
    )
    km_lr_warmup: int = Field(
        0,
        ge=0,
        description="steps of linear warm-up of that rate; 0 (the paper's): it starts at its peak. "
        "`lr_warmup` is the language model's",
    )
    description_length: int = Field(
        64, gt=0, description="tokens of a description, special tokens left out; a longer one is cut"
    )
    memory_momentum: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="share of an entity's old embedding that a full sweep keeps; a sweep of a share keeps "
        "momentum^(1 / memory_share) of those it reads, as much as the full sweeps in its place",
    )
    memory_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the entities in a sweep, in turn: each is read in every (1 / share)-th sweep",
    )
    memory_first_interval: int = Field(10, gt=0, description="steps between sweeps; doubled every three")
    memory_last_interval: int = Field(500, gt=0, description="steps between sweeps at most")
    memory_dtype: Literal["fp32", "bf16"] = Field("fp32", description="how embeddings are kept")
    unseen_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="entities that training never links, samples or predicts, for `evaluate jaket-memory`",
    )
