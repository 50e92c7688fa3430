"""Settings of the objective `kmlm`: its streams, masks and long phase."""

from typing import Literal

from pydantic import Field

from kgcorpus.config import Section

Stream = Literal["plain", "code_switched", "reasoning"]
# The shards that each stream of KMLM reads.
STREAM_TABLES: dict[Stream, str] = {
    "plain": "plain_text",
    "code_switched": "code_switched",
    "reasoning": "reasoning",
}


class KmlmConfig(Section):
    """KMLM's objective (arXiv 2111.10962, section 3.2)."""

    alpha: float = Field(0.3, ge=0, description="weight of the code-switched and the reasoning loss")
    mlm_probability: float = Field(
        0.15, gt=0, le=1, description="share of the tokens predicted in plain and code-switched text"
    )
    streams: tuple[Stream, ...] = Field(
        ("plain", "code_switched", "reasoning"),
        min_length=1,
        description="which streams are trained on, of those that the corpus has",
    )
    language_exponent: float = Field(
        0.3,
        ge=0,
        le=1,
        description="exponent of language sampling: a language with n plain texts makes up a share "
        "n^exponent / sum of all languages' n^exponent of the plain stream, in the main and in the long "
        "phase; 1: as in the corpus",
    )
    reasoning_mask: Literal["relations", "plain"] = Field(
        "relations",
        description="hide whole relations and entities, or (the ablation) mask as in code-switched text",
    )
    long_length: int = Field(512, gt=1, description="tokens of a record in the long phase")
    long_steps: int = Field(
        0,
        ge=0,
        description="steps of the long phase, after the schedule: plain text only, of `long_length` tokens",
    )
    long_lr: float | None = Field(
        None, gt=0, description="peak learning rate of the long phase, which decays to 0 over it; null: `lr`"
    )
    long_warmup: int | None = Field(
        None, ge=0, description="steps of linear warm-up of the long phase; null: `lr_warmup`"
    )
