"""Settings of the objective `transe`, and the tables that it reads."""

from typing import Literal

from pydantic import Field

from kgcorpus.config import LocalPlace, Section

# What TransE reads: the facts, and whose pairs are left out of them.
TRANSE_TABLES = ("triples", "xlr")


class TranseConfig(Section):
    """TransE's embeddings (Bordes et al. 2013) with the loss of RotatE (Sun et al. 2019)."""

    dim: int = Field(64, gt=0, description="numbers of a vector")
    norm: Literal[1, 2] = Field(2, description="of the distance |h + r - t|; 1 is slower on a CPU")
    unit_entities: bool = Field(True, description="keep entities at length 1, as in the paper")
    margin: float = Field(0.75, gt=0, description="the distance that parts right facts from wrong ones")
    sharpness: float = Field(8.0, gt=0, description="factor of a distance in the loss's sigmoid and softmax")
    lr: float = Field(0.05, gt=0, description="learning rate of row-wise Adagrad; it does not decay")
    facts_per_step: int = Field(512, gt=0, description="facts of a step")
    negatives: int = Field(256, gt=0, description="heads, and as many tails, that a step's facts meet")
    steps: int = Field(1000, gt=0, description="steps of a run without `--max-steps`")
    held_out: LocalPlace | None = Field(None, description="file of lines `h r t` that are not trained on")
