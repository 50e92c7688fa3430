"""What `kgcorpus train` reads. The defaults are a small preset that learns within a minute on two cores."""

from typing import Literal

from pydantic import Field, model_validator

from kgcorpus.config import Section

Stream = Literal["plain", "code_switched", "reasoning"]
# The shards that each stream of KMLM reads.
STREAM_TABLES: dict[Stream, str] = {
    "plain": "plain_text",
    "code_switched": "code_switched",
    "reasoning": "reasoning",
}


class ModelConfig(Section):
    """The BERT that is made when there is no `base_model`."""

    hidden: int = Field(128, gt=0, description="size of the states")
    layers: int = Field(2, gt=0, description="transformer layers")
    heads: int = Field(4, gt=0, description="attention heads")
    vocab_size: int = Field(16_000, gt=0, description="tokens at most; a small corpus gives fewer")
    dropout: float = Field(0.0, ge=0, lt=1, description="of states and attention")

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> "ModelConfig":
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) is no multiple of heads ({self.heads})")
        return self


class KmlmConfig(Section):
    """KMLM's objective (arXiv 2111.10962, section 3.3)."""

    alpha: float = Field(0.3, ge=0, description="weight of the code-switched and the reasoning loss")
    mlm_probability: float = Field(
        0.15, gt=0, le=1, description="share of the tokens predicted in plain and code-switched text"
    )
    streams: tuple[Stream, ...] = Field(
        ("plain", "code_switched", "reasoning"),
        min_length=1,
        description="which streams are trained on, of those that the corpus has",
    )
    reasoning_mask: Literal["relations", "plain"] = Field(
        "relations",
        description="hide whole relations and entities, or (the ablation) mask as in code-switched text",
    )
    long_length: int = Field(512, gt=1, description="tokens of a record in the long phase")
    long_steps: int = Field(
        0, ge=0, description="steps after `schedule_steps` on plain text alone, of `long_length` tokens"
    )


class TrainingConfig(Section):
    """Everything `kgcorpus train` reads."""

    seed: int = Field(0, ge=0, description="the seed of every draw")
    schedule_steps: int | None = Field(
        200, gt=0, description="steps over which the learning rate runs; null: those of one epoch"
    )
    lr: float = Field(3e-3, gt=0, description="peak learning rate of AdamW")
    lr_warmup: int = Field(10, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.0, ge=0, description="of matrices; biases and norms have none")
    grad_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")
    records_per_step: int = Field(
        128, gt=0, description="records of an optimizer step over all ranks; for KMLM, of each stream"
    )
    rows_per_forward: int = Field(
        128,
        gt=0,
        description="packed rows of one forward pass; a larger step accumulates its gradient over several",
    )
    max_length: int = Field(128, gt=2, description="tokens of a record and of a packed row")
    base_model: str | None = Field(
        None, description="folder or hub id of a masked language model; null: a small one from scratch"
    )
    model: ModelConfig = Field(default_factory=ModelConfig, description="the small model")
    checkpoint_every: int = Field(100, gt=0, description="steps between checkpoints")
    checkpoint_minutes: float = Field(15.0, gt=0, description="minutes after which one is due anyway")
    keep: int = Field(2, gt=0, description="checkpoints kept")
    log_every: int = Field(10, gt=0, description="steps between lines of progress off a terminal")
    kmlm: KmlmConfig = Field(default_factory=KmlmConfig, description="the objective `kmlm`")
