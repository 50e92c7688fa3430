"""Builds the objective's components from its options, for training and for evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.rows import Fact
from trainer.masked_lm import PackedMaskedLM
from trainer.masking import Vocabulary
from trainer.transe.embeddings import open_embeddings
from trainer.trelm.batches import Packer
from trainer.trelm.config import TrelmConfig
from trainer.trelm.examples import ExampleMaker, Slots
from trainer.trelm.graph import Graph, LabelTokens
from trainer.trelm.guesses import Guesses
from trainer.trelm.injection import GraphKnowledge, Knowledge, LabelKnowledge
from trainer.trelm.memory import MemoryBank
from trainer.trelm.model import TrelmModel
from trainer.trelm.negatives import NegativeSampler
from trainer.trelm.targets import TargetChooser

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Builder:
    """What the parts are made of.

    Attributes:
        options: of the objective.
        graph: the corpus's facts and names.
        vocabulary: of the tokenizer.
        labels: entity -> tokens of its label.
        knowledge: where vectors come from.
        seed: of every draw.
    """

    options: TrelmConfig
    graph: Graph
    vocabulary: Vocabulary
    labels: LabelTokens
    knowledge: Knowledge
    seed: int

    @classmethod
    def of(
        cls,
        options: TrelmConfig,
        tokenizer: "PreTrainedTokenizerFast",
        graph: Graph,
        *,
        kge: Path | None,
        hidden: int,
        seed: int,
    ) -> "Builder":
        """From the options.

        Args:
            options: of the objective.
            tokenizer: of the model.
            graph: the corpus's facts and names.
            kge: folder of frozen vectors, for the provider `transe`.
            hidden: size of the model's states.
            seed: of every draw.

        Raises:
            UsageError: the provider `transe` without a folder.
            InputError: the folder holds no vectors.
        """
        plain = tokenizer.backend_tokenizer
        labels = graph.entity_tokens(plain)
        vocabulary = Vocabulary.of_tokenizer(tokenizer)
        knowledge: Knowledge
        if options.provider == "shared":
            knowledge = LabelKnowledge(labels, graph.relation_tokens(plain), width=hidden)
        elif kge is None:
            raise UsageError("needs a graph embedding", where="trelm.kge", hint="Run kgcorpus train transe")
        else:
            knowledge = GraphKnowledge(open_embeddings(kge))
        return cls(options, graph, vocabulary, labels, knowledge, seed)

    def model(self, packed: PackedMaskedLM) -> TrelmModel:
        """The language model with heads drawn from the seed."""
        torch.manual_seed(hash64(self.seed, "trelm-heads"))
        return TrelmModel(
            packed,
            width=self.knowledge.width,
            additive=self.options.provider == "transe",
            inject=self.options.inject != "none",
            in_text=self.options.decode == "in_text",
            literal=self.options.memory.literal,
        )

    def chooser(self, *, min_si: float) -> TargetChooser:
        """Of the targets; `min_si`: the least importance."""
        return TargetChooser(
            inject=self.options.inject,
            min_si=min_si,
            known=self._known,
            seed=self.seed,
            in_text=self.options.decode == "in_text",
            mentions=self.options.mentions,
            plain_share=self.options.plain_share,
            injected_fact=self.options.injected_fact,
        )

    def maker(self, chooser: TargetChooser, *, share: float, slots: Slots | None) -> ExampleMaker:
        """Of the examples; `share`: of the tokens predicted by masked-language modelling."""
        return ExampleMaker(
            self.vocabulary,
            chooser,
            self.labels,
            share=share,
            label_tokens=self.options.label_tokens,
            in_text=self.options.decode == "in_text",
            slots=slots,
            seed=self.seed,
        )

    def negatives(self, unigrams: NDArray[np.int64]) -> NegativeSampler:
        """Of the tokens asked for; `unigrams` [vocabulary]: occurrences in the training records."""
        return NegativeSampler(
            self.graph.facts, self.labels, unigrams, count=self.options.negatives, seed=self.seed
        )

    def guesses(self, negatives: NegativeSampler, unigrams: NDArray[np.int64]) -> Guesses:
        """Of the same tokens; arguments as of `negatives`."""
        return Guesses(self.graph.facts, self.labels, negatives, unigrams, count=self.options.negatives)

    def packer(
        self, negatives: NegativeSampler, *, memory: MemoryBank | None, length: int, rows: int
    ) -> Packer:
        """Of the batches."""
        return Packer(
            self.knowledge,
            negatives,
            memory,
            window=self.options.memory.window,
            literal=self.options.memory.literal,
            length=length,
            rows=rows,
            pad=self.vocabulary.pad,
            logq=self.options.logq,
        )

    def _known(self, fact: Fact) -> bool:
        return self.knowledge.has(fact) and fact["other"] in self.labels
