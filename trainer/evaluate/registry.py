"""The benchmarks that `kgcorpus evaluate` finds by name. This module imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kgcorpus.contracts.registry import Registry
from trainer.evaluate.config import EvaluationConfig

Score = Callable[[str, str, EvaluationConfig], dict[str, Any]]
_FINE_TUNED = "trainer.evaluate.fine_tuning"
_QA = f"{_FINE_TUNED}.question_answering"
_PROBE = "trainer.evaluate.probe"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: its name on the command line.
        data: what `--data` names, in Markdown.
        score: what the result contains, in Markdown.
        run: a function from (model, data, configuration) to the result, or `module:function`, imported when
            the benchmark runs.
        needs_model: whether it scores a model; else it scores a build's linker.
    """

    name: str
    data: str
    score: str
    run: Score | str
    needs_model: bool = True

    def load(self) -> Score:
        """Return the function."""
        if not isinstance(self.run, str):
            return self.run
        module, _, name = self.run.partition(":")
        function: Score = getattr(import_module(module), name)
        return function


def _of(name: str, data: str, score: str, run: str) -> Benchmark:
    return Benchmark(name=name, data=data, score=score, run=run)


BENCHMARKS: Registry[Benchmark] = Registry(
    "benchmark",
    (
        _of(
            "cycles",
            "a build with `reasoning`",
            "accuracy on held-out relations against the most frequent relation",
            "trainer.kmlm.evaluate.cycles:evaluate_cycles",
        ),
        _of(
            "xlr",
            "a build with `xlr`",
            "accuracy after fine-tuning, with question-only and shuffled-context controls",
            "trainer.kmlm.evaluate.xlr:evaluate_xlr",
        ),
        _of(
            "xlr-zero-shot",
            "a build with `xlr`",
            "accuracy without fine-tuning, with the same controls",
            "trainer.kmlm.evaluate.xlr_zero_shot:evaluate_zero_shot",
        ),
        _of(
            "cka",
            "a build with `trelm`",
            "TRELM's decoding: fact injected, not injected, another injected, two baselines, compared with "
            "intervals; seen and unseen facts apart",
            "trainer.trelm.evaluate.cka:evaluate_cka",
        ),
        _of(
            "link-prediction",
            "a folder with train, valid, test triples",
            "filtered MRR and Hits of a TransE run",
            "trainer.transe.evaluate:evaluate_link_prediction",
        ),
        _of(
            "jaket-memory",
            "a build with `jaket_text`",
            "joint, stale, random memory, no graph",
            "trainer.jaket.evaluate.memory:evaluate_memory",
        ),
        _of(
            "jaket-entities",
            "a build with JAKET's tables: another one, or the run's own (then only the entities that "
            "`jaket.unseen_share` set aside)",
            "accuracy of classes with `jaket.label_share` of the labels",
            "trainer.jaket.evaluate.entity_classification:evaluate_entities",
        ),
        _of(
            "metaqa",
            "MetaQA's folder",
            "Hits@1, `jaket.hops` 1 to 3, each triple kept with the chance `jaket.graph_share`",
            "trainer.jaket.evaluate.metaqa:evaluate_metaqa",
        ),
        _of(
            "fewrel-pair",
            "FewRel's `*_wiki.json`; `jaket.graph`, a build",
            "accuracy of `jaket.ways` x `jaket.shots` episodes with PAIR",
            "trainer.jaket.evaluate.fewrel_pair:evaluate_fewrel_pair",
        ),
        _of("lama", "LAMA's folder", "P@1, macro over relations", f"{_PROBE}.lama:evaluate_lama"),
        _of(
            "lama-uhn",
            "LAMA's folder",
            "P@1, macro over relations, without guessable names",
            f"{_PROBE}.lama:evaluate_lama_uhn",
        ),
        _of(
            "xfactr", "X-FACTR's folder", "P@1 by language; several masks", f"{_PROBE}.xfactr:evaluate_xfactr"
        ),
        _of(
            "mlama",
            "mLAMA's or mParaRel's folder",
            "P@1 by language; several masks",
            f"{_PROBE}.mlama:evaluate_mlama",
        ),
        _of("relx", "KBP-37's and RELX's files", "accuracy, macro F1", f"{_FINE_TUNED}.relx:evaluate_relx"),
        _of(
            "fewrel", "FewRel's `*_wiki.json`", "accuracy, macro F1", f"{_FINE_TUNED}.fewrel:evaluate_fewrel"
        ),
        _of(
            "tacred",
            "TACRED's files",
            "micro precision, recall and F1",
            f"{_FINE_TUNED}.tacred:evaluate_tacred",
        ),
        _of(
            "open-entity",
            "Open Entity's files",
            "macro and micro precision, recall and F1",
            f"{_FINE_TUNED}.open_entity:evaluate_open_entity",
        ),
        _of(
            "ner",
            "CoNLL files",
            "entity precision, recall and F1 by language",
            f"{_FINE_TUNED}.ner:evaluate_ner",
        ),
        _of("pos", "CoNLL-U files", "accuracy by language", f"{_FINE_TUNED}.pos:evaluate_pos"),
        _of("xnli", "XNLI's TSV", "accuracy by language", f"{_FINE_TUNED}.sentence_pairs:xnli"),
        _of("paws-x", "PAWS-X's TSV", "accuracy by language", f"{_FINE_TUNED}.sentence_pairs:paws_x"),
        _of("glue", "GLUE's TSV", "the official metrics", f"{_FINE_TUNED}.glue:evaluate_glue"),
        _of(
            "xquad",
            "SQuAD's and XQuAD's JSON",
            "exact match and F1",
            f"{_QA}:xquad",
        ),
        _of("mlqa", "SQuAD's and MLQA's JSON", "exact match and F1", f"{_QA}:mlqa"),
        _of("tydiqa", "TyDiQA's JSON", "exact match and F1", f"{_QA}:tydiqa"),
        Benchmark(
            name="linking",
            data="gold texts, labelled places (`.tsv`), or none; `--corpus`, a build, in place of a model",
            score="strict precision, recall and F1 of the linker; of places also the reliability of its "
            "confidence",
            run="kgcorpus.linking.evaluate:evaluate_linking",
            needs_model=False,
        ),
    ),
    of=Benchmark,
    group="kgcorpus.benchmarks",
)


def register_benchmark(benchmark: Benchmark) -> None:
    """Add a benchmark to this process; `kgcorpus.register_benchmark` in programs.

    Raises:
        UsageError: a benchmark of that name is built in or belongs to an installed package.
    """
    BENCHMARKS.register(benchmark)
