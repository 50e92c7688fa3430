"""Settings of the objective `trelm`: injection, CKA, memory and routing."""

from typing import Literal

from pydantic import Field, model_validator

from kgcorpus.config import LocalPlace, Section

# Classes of the entities that are injected, and the mentions that are asked about.
Inject = Literal["longtail", "frequent", "both", "none"]
MentionChoice = Literal["important", "random", "all"]
InjectedFact = Literal["asked", "another"]
# What routing trains besides the selected neurons and the heads.
Also = Literal["attention", "norms", "biases", "feed_forward", "table", "target_rows"]


class MemoryConfig(Section):
    """TRELM's memory bank (arXiv 2403.11203, section 3.2, eq. 4-8)."""

    enabled: bool = Field(True, description="false: without a memory (ablation)")
    weight: float = Field(0.5, ge=0, le=1, description="lambda_0, the memory's first share of an embedding")
    beta: float = Field(
        2.0,
        ge=1,
        description="what lambda is divided by each quarter of the schedule (`literal`: epoch); 1: no decay",
    )
    gamma: float = Field(0.1, gt=0, le=1, description="weight of a step in the moving averages")
    window: int = Field(16, ge=0, description="k, tokens on either side of a mention that it remembers")
    global_part: Literal["mean", "ema"] = Field(
        "mean", description="mean of the [CLS] states of an entity's texts, or their moving average"
    )
    literal: bool = Field(
        False,
        description="eq. 4-8 as printed: eq. 4 divides by one less than its terms, the local part starts at "
        "the pre-trained embedding and is read before the first write, reads keep their own length, lambda "
        "falls by epochs and has no end",
    )
    words_per_million: tuple[float, float] = Field(
        (0.03, 0.15), description="occurrences of the words that are given a slot"
    )
    word_quantiles: tuple[float, float] = Field(
        (0.3, 0.7), description="the same in quantiles, of a corpus too small for such words to occur twice"
    )


class RoutingConfig(Section):
    """TRELM's dynamic knowledge routing (arXiv 2403.11203, section 3.3, eq. 9-12)."""

    mode: Literal["exact", "path", "lora", "none"] | None = Field(
        None,
        description="gradient below a routed layer: exact, or through the selected neurons only, "
        "which is quicker and not the true gradient; lora: no neurons are selected, adapters of the "
        "feed-forward blocks with as many numbers are trained (baseline); none: all parameters are trained; "
        "null: exact with a `base_model`, or if another routing setting differs from its default, otherwise "
        "none, because routing freezes embeddings and attention, which a model from scratch has not learned",
    )
    share: float = Field(
        0.1, ge=0, le=1, description="p, share of the feed-forward neurons that are trained; 0: none"
    )
    choice: Literal["attributed", "random", "gradient"] = Field(
        "attributed",
        description="neurons by attribution; as many at random at each routing (control); or by the norm of "
        "the total loss's gradient in their weights",
    )
    probe: Literal["cka", "mlm"] = Field(
        "cka",
        description="tokens that an attribution explains: those that CKA asks for, or those that "
        "masked-language modelling predicts, with nothing injected and no memory",
    )
    attribution: Literal["joint", "layer"] = Field(
        "joint", description="activations that are scaled together: those of all layers, or of one at a time"
    )
    points: int = Field(5, gt=0, description="m, points of the Riemann sum")
    tokens: int = Field(64, gt=0, description="tokens that the neurons are scored on, at least")
    average: float = Field(0.5, ge=0, lt=1, description="weight of the earlier scores in a new routing")
    end_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the inputs and of the outputs of a feed-forward block whose weights are "
        "trained in the selected neurons (eq. 12 as printed); 1: all",
    )
    row_lr_scale: float = Field(
        1.0, gt=0, description="peak learning rate of the selected neurons' weights, relative to `lr`"
    )
    also: tuple[Also, ...] = Field(
        (),
        description="what is trained besides neurons and heads. From the lowest routed layer up: `attention` "
        "matrices, `norms`, `biases` (with the head's), `feed_forward` matrices whole. Of the embedding "
        "table: `table`, the rows of tokens that a step reads or scores, or `target_rows`, those of its "
        "targets and their answers; with the injection frozen their gradient is that of the scores only",
    )
    table_lr_scale: float = Field(
        1.0, gt=0, description="peak learning rate of the embedding table's rows, relative to `lr`"
    )
    lowest_layer: int | float = Field(
        0,
        ge=0,
        description="layers below are never trained: their number, or below 1 their share (depth cut)",
    )
    depth_cut: bool = Field(
        True,
        description="with no trained layer at the bottom, freeze the injection too, so that nothing below "
        "the lowest trained layer has a backward pass; false: keep the injection trained",
    )

    @model_validator(mode="after")
    def _agree(self) -> "RoutingConfig":
        if self.also and self.mode in ("none", "lora"):
            raise ValueError(f"also needs the mode exact or path, not {self.mode}")
        if "feed_forward" in self.also and self.share > 0:
            raise ValueError("also: feed_forward trains every neuron: set share to 0")
        if {"table", "target_rows"} <= set(self.also):
            raise ValueError("also: table contains target_rows: leave one of them out")
        if self.lowest_layer >= 1 and self.lowest_layer != int(self.lowest_layer):
            raise ValueError(f"lowest_layer ({self.lowest_layer}) is neither a number of layers nor a share")
        return self


class TrelmConfig(Section):
    """TRELM's objective (arXiv 2403.11203, section 3)."""

    theta: float = Field(
        0.5, ge=0, le=1, description="weight of masked-language modelling; 1 - theta: of CKA"
    )
    mlm_probability: float = Field(0.15, gt=0, le=1, description="share of the tokens predicted")
    inject: Inject = Field("longtail", description="class of the entities that knowledge is injected for")
    inject_decay: float = Field(
        1.0,
        ge=1,
        description="what the injected embedding's share is divided by each quarter, the word's own taking "
        "the rest: a model is used without; 1: no decay",
    )
    plain_share: float = Field(
        0.0, ge=0, le=1, description="share of the passages in which nothing is injected, drawn each epoch"
    )
    injected_fact: InjectedFact = Field(
        "asked",
        description="the fact injected into a target: the one asked about, or another of the entity whose "
        "other end is not in the passage; if there is none, nothing is injected",
    )
    mentions: MentionChoice = Field(
        "important",
        description="which mentions are asked about: the upper half of a text's by semantic importance, or "
        "(ablations) as many at random, or all",
    )
    min_si: float = Field(
        0.0, ge=0, lt=1, description="quantile of semantic importance below which a mention gets no fact"
    )
    provider: Literal["transe", "shared"] = Field(
        "transe",
        description="vectors of entities and relations: of a graph embedding, or their labels' (DKPLM)",
    )
    kge: LocalPlace | None = Field(
        None, description="run of `train transe`; null: one is trained first, into the run's folder"
    )
    decode: Literal["label", "in_text"] = Field(
        "label", description="ask for the other end's label, or for its hidden mention in the passage"
    )
    label_tokens: int = Field(16, gt=0, description="tokens of a label that are asked for")
    negatives: int = Field(64, gt=0, description="negatives for each true token")
    logq: bool = Field(
        False,
        description="correct each score by how often its token is drawn (not in the print; it takes from the "
        "hard negatives what makes them hard)",
    )
    memory: MemoryConfig = Field(default_factory=MemoryConfig, description="the memory bank")
    warmup_steps: int | None = Field(
        None, ge=0, description="dense steps before the first routing; null: 5 % of the schedule"
    )
    reroute_every: int = Field(200, gt=0, description="steps between routings; 1: the paper's")
    routing: RoutingConfig = Field(default_factory=RoutingConfig, description="the knowledge paths")
