"""Settings of `kgcorpus train`. The defaults are a small preset that learns in a minute on two cores."""

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from kgcorpus.config import LocalPlace, Section
from trainer.jaket.config import JaketConfig
from trainer.kmlm.config import KmlmConfig
from trainer.transe.config import TranseConfig
from trainer.trelm.config import TrelmConfig

LrSchedule = Literal["linear", "cosine", "wsd", "constant"]


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


class TrainingConfig(Section):
    """Everything `kgcorpus train` reads."""

    seed: int = Field(0, ge=0, description="the seed of every draw")
    schedule_steps: int | None = Field(
        200, gt=0, description="steps over which the learning rate runs; null: those of `epochs`"
    )
    epochs: float | None = Field(
        None,
        gt=0,
        description="epochs over which the learning rate runs, in place of `schedule_steps`: an epoch has as "
        "many steps as it takes to read the leading stream once; null: 1, if `schedule_steps` is null",
    )
    lr: float = Field(3e-3, gt=0, description="peak learning rate of AdamW")
    lr_warmup: int = Field(10, ge=0, description="steps of linear warm-up")
    lr_schedule: LrSchedule = Field(
        "linear",
        description="learning rate after the warm-up: `linear` and `cosine` fall to 0 at the end of the "
        "schedule; `wsd` keeps the peak and falls linearly to 0 over the last `lr_decay` of the schedule; "
        "`constant` keeps the peak",
    )
    lr_decay: float = Field(0.1, gt=0, le=1, description="share of the schedule over which `wsd` decays")
    weight_decay: float = Field(0.0, ge=0, description="of matrices; biases and norms have none")
    grad_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")
    activation_checkpointing: bool = Field(
        False, description="keep only each layer's input for the backward pass, and compute the rest again"
    )
    peak_tflops: float | None = Field(
        None, gt=0, description="TFLOP/s of one device, for `mfu`; null: by the GPU's name, in bf16"
    )
    sharding: Literal["none", "fsdp"] = Field(
        "none",
        description="`fsdp` divides weights, gradients and optimizer state among the processes (FSDP2) and "
        "writes sharded checkpoints (not with TRELM's routing, not for JAKET); `none`: each has all",
    )
    compile: bool = Field(False, description="compile the model's forward and backward pass (torch.compile)")
    records_per_step: int = Field(
        128, gt=0, description="records of an optimizer step over all ranks; for KMLM, of each stream"
    )
    rows_per_forward: int = Field(
        128,
        gt=0,
        description="packed rows of one forward pass; a larger step accumulates its gradient over several",
    )
    max_length: int = Field(128, gt=2, description="tokens of a record and of a packed row")
    base_model: LocalPlace | None = Field(
        None,
        description="folder or hub id (NAME or NAME@REVISION) of a masked language model; null: a small one "
        "from scratch",
    )
    model: ModelConfig = Field(default_factory=ModelConfig, description="the small model")
    validate_every: int | None = Field(
        None, gt=0, description="steps between validations on the validation split; null: none"
    )
    validation_records: int = Field(
        256, gt=0, description="records of the fixed sample of a validation; for KMLM, of each stream"
    )
    keep_best: bool = Field(
        False, description="write RUN/best, the model of the step with the smallest `valid_loss`"
    )
    patience: int | None = Field(
        None,
        gt=0,
        description="validations without a smaller `valid_loss` after which the run ends; null: it continues",
    )
    checkpoint_every: int = Field(100, gt=0, description="steps between checkpoints")
    checkpoint_minutes: float = Field(15.0, gt=0, description="minutes after which one is due anyway")
    keep: int = Field(2, gt=0, description="checkpoints kept")
    log_every: int = Field(10, gt=0, description="steps between lines of progress off a terminal")
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        (), description="where the metrics go beside metrics.jsonl; each is an extra to install"
    )
    kmlm: KmlmConfig = Field(default_factory=KmlmConfig, description="the objective `kmlm`")
    trelm: TrelmConfig = Field(default_factory=TrelmConfig, description="the objective `trelm`")
    jaket: JaketConfig = Field(default_factory=JaketConfig, description="the objective `jaket`")
    transe: TranseConfig = Field(default_factory=TranseConfig, description="the objective `transe`")

    @model_validator(mode="before")
    @classmethod
    def _epochs_replace_schedule_steps(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("epochs") is None:
            return data
        if data.get("schedule_steps") is not None:
            raise ValueError("epochs and schedule_steps both set the schedule: leave one of them out")
        return {**data, "schedule_steps": None}

    @model_validator(mode="after")
    def _validation_is_on(self) -> "TrainingConfig":
        if self.validate_every is None and (self.keep_best or self.patience is not None):
            name = "keep_best" if self.keep_best else "patience"
            raise ValueError(f"{name} needs validate_every")
        return self

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the corpus that a run reads."""
        return ("train",) if self.validate_every is None else ("train", "validation")

    def steps_of_schedule(self, rows: int, records: int) -> int:
        """Steps over which the learning rate runs.

        Args:
            rows: records of an epoch.
            records: records of a step.
        """
        return self.schedule_steps or math.ceil((self.epochs or 1) * rows / records)
