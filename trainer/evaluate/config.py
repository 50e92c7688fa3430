"""Settings of `kgcorpus evaluate`. The defaults suit small models and a CPU."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import Field

from kgcorpus.config import Id, Lang, LocalPlace, Section
from kgcorpus.contracts.errors import InputError

_ENGLISH = "en"


class ProbingConfig(Section):
    """How a benchmark asks for facts by filling blanks."""

    common_vocabulary: LocalPlace | None = Field(
        None, description="a file of words, one a line: the only answers ranked (LAMA only)"
    )
    name_model: LocalPlace | None = Field(
        None, description="the model that LAMA-UHN's filter of names asks; null: the one that is scored"
    )
    masks: int = Field(5, gt=0, description="tokens of an answer at most (X-FACTR only)")
    decoding: tuple[Literal["independent", "confidence"], ...] = Field(
        ("independent", "confidence"),
        min_length=1,
        description="fill several masks at once, or the surest first (X-FACTR only); each is reported",
    )


class AdaptationConfig(Section):
    """How JAKET and its baselines meet a graph that pre-training has not seen."""

    arm: Literal["joint", "lm", "gnn", "lm+gnn", "lm+gnn+m"] = Field(
        "joint",
        description="the whole model, or a baseline: language model alone; graph network alone, with drawn "
        "memories; both, with drawn memories (lm+gnn) or memories made by the language model (lm+gnn+m)",
    )
    language_model: LocalPlace | None = Field(
        None,
        description="the model whose language model the baselines have, such as the JAKET run's base_model; "
        "null: that of the model that is scored",
    )
    read_out: Literal["knowledge", "text", "both"] = Field(
        "knowledge",
        description="what an entity is classified by: its E^KM; the last states of its mention in its "
        "description, where E^KM is merged; or both, concatenated. The arm lm has the text alone, gnn E^KM "
        "alone (entity classification)",
    )
    relation_memory: Literal["centred", "raw"] = Field(
        "centred",
        description="relation vectors made of texts: minus their mean and scaled to a root mean square of 1, "
        "or as the language model gives them, nearly collinear (entity classification, MetaQA)",
    )
    merge: Literal["norm", "norm_at_mentions", "gate"] | None = Field(
        None,
        description="how E^KM enters the text of lm+gnn and lm+gnn+m, as `jaket.merge` of training; null: as "
        "in the JAKET model, and norm beside a plain language model",
    )
    label_share: float = Field(
        1.0, gt=0, le=1, description="share of the training labels (entity classification)"
    )
    graph: LocalPlace | None = Field(
        None,
        description="a build with JAKET's tables, for FewRel's entities; the arm `lm` reads none",
    )
    pair_edges: Literal["kept", "hidden"] = Field(
        "kept",
        description="edges of the graph between head and tail of a sentence: kept, as in the paper, or left "
        "out, because the graph may hold the fact that is asked for (FewRel)",
    )
    ways: int = Field(5, gt=1, description="relations of an episode (FewRel)")
    shots: int = Field(1, gt=0, description="examples of each relation of an episode (FewRel)")
    train_episodes: int = Field(200, gt=0, description="episodes of an epoch, a step each (FewRel)")
    test_episodes: int = Field(
        200, gt=0, description="episodes of the score; a fifth of them choose the epoch (FewRel)"
    )
    answer_vectors: Literal["raw", "centred"] = Field(
        "raw",
        description="vectors of which the nearest is the answer: the entities' context embeddings, as in the "
        "paper; or these minus their mean and scaled to a root mean square of 1 (MetaQA)",
    )
    hops: Literal[1, 2, 3] = Field(1, description="edges between a question's topic and its answers (MetaQA)")
    graph_share: float = Field(1.0, gt=0, le=1, description="chance of each triple to stay (MetaQA)")


class EvaluationConfig(Section):
    """How a benchmark that fine-tunes does it; each seed is a run of its own."""

    seeds: tuple[int, ...] = Field((0,), min_length=1, description="one fine-tuning each; n >= 3 to report")
    epochs: int = Field(3, gt=0, description="passes over the training examples")
    lr: float | None = Field(
        None,
        gt=0,
        description="peak learning rate of AdamW; null: .03 / hidden size (4e-5 at 768), for the best rate "
        "falls as one over the width (Yang et al. 2022)",
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up; then linear decay")
    weight_decay: float = Field(0.01, ge=0, description="of matrices; biases and norms have none")
    batch: int = Field(32, gt=0, description="examples of a step")
    max_length: int = Field(128, gt=8, description="tokens of an example; longer ones are cut, and counted")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the encoder")
    limit: int | None = Field(
        None,
        gt=0,
        description="maximum number of examples of each part and language, sampled by hash; null: all. "
        "The result names the parts that were sampled",
    )
    train_language: Lang | None = Field(
        None,
        description="the language fine-tuned on where there are several: the others are zero-shot transfer; "
        "null: the base language of a build (`xlr`); of other data, English or the only language with "
        "training examples",
    )
    languages: tuple[Lang, ...] | None = Field(None, description="the languages scored; null: all there are")
    exclude_corpus: LocalPlace | None = Field(
        None, description="a build whose facts (table `triples`) a probe leaves out, and lists"
    )
    exclude_relations: tuple[Id, ...] | None = Field(
        None,
        description="relations whose questions the part `without` leaves out (`cycles` only); null: the "
        "most frequent relation of the training cycles, which a model may learn to name always (P530 in "
        "graphs of Wikidata, where diplomatic relations form half of the triangles)",
    )
    jaket: AdaptationConfig = Field(
        default_factory=AdaptationConfig, description="an unseen graph, for JAKET's benchmarks"
    )
    probing: ProbingConfig = Field(default_factory=ProbingConfig, description="asking for facts")

    def training_language(self, found: Collection[str], *, where: str | Path) -> str:
        """Return the language to fine-tune on.

        Args:
            found: the languages with training examples.
            where: the data, for errors.

        Raises:
            InputError: the configured language has no training examples; or none is configured and the data
                have training examples in several languages, but not in English.
        """
        chosen = self.train_language or (_ENGLISH if _ENGLISH in found else next(iter(found), _ENGLISH))
        several = self.train_language is None and chosen != _ENGLISH and len(found) > 1
        if chosen in found and not several:
            return chosen
        listed = ", ".join(sorted(found)) or "no language"
        what = f"has training examples in {listed}" + ("" if several else f", not in {chosen}")
        raise InputError(what, where=str(where), hint="Set train_language to one of them")
