"""What `kgcorpus reproduce` can redo, as data: papers, scales, and the tables of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import UsageError, known_names
from kgcorpus.reproduce.jaket_layouts import jaket_classes, jaket_fewrel, jaket_metaqa, jaket_sizes
from kgcorpus.reproduce.layouts import kmlm_sizes, kmlm_xlr, runs


@dataclass(frozen=True)
class Scale:
    """How much of a paper is redone.

    Attributes:
        name: demo or paper.
        corpus: the build's configuration in conf/; None: the embedded world.
        training: the settings of every run in conf/; None: the defaults.
        settings: further `a.b=c` settings of every run.
        seeds: seeds of the runs; None: those of the grid.
        differences: what differs from the paper, as sentences.
        evaluation: further `a.b=c` settings of every score.
        left_out: scores of the grids whose names start so are not asked.
        time: how long the parts take, estimated; empty: unknown.
        disk: how much room it needs, estimated; empty: unknown.
    """

    name: str
    corpus: str | None
    training: str | None
    settings: tuple[str, ...]
    seeds: tuple[int, ...] | None
    differences: tuple[str, ...]
    time: tuple[str, ...] = ()
    disk: str = ""
    evaluation: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One or several tables of a paper that come from the same work.

    Attributes:
        name: of its folder.
        tables: the tables' numbers, as `--table` takes them; figures as `figure-3`.
        title: the heading.
        grid: the sweep in conf/; None: only the corpus is described.
        layout: (report.json, sweep.json or None) -> Markdown.
        data: folder of evaluation data below that of --data; empty: the build has all.
        files: names of its files, as published.
        runs: folder of the training runs; empty: `name`. Experiments with the same arms share their runs.
    """

    name: str
    tables: tuple[str, ...]
    title: str
    grid: str | None
    layout: Callable[[dict[str, Any], list[dict[str, Any]]], str]
    data: str = ""
    files: tuple[str, ...] = ()
    runs: str = ""

    @property
    def folder(self) -> str:
        """Name of the folder of the training runs."""
        return self.runs or self.name


@dataclass(frozen=True)
class Paper:
    """A paper, its scales and experiments."""

    name: str
    citation: str
    scales: dict[str, Scale]
    experiments: tuple[Experiment, ...]

    def scale(self, name: str) -> Scale:
        """Return the scale of that name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.scales:
            raise UsageError(
                f"no scale is called {name!r}",
                where="--scale",
                hint=f"Choose {' or '.join(self.scales)}",
            )
        return self.scales[name]

    def chosen(self, table: str | None) -> tuple[Experiment, ...]:
        """Return the experiments of a table; all without one.

        Raises:
            UsageError: the paper has no such table here.
        """
        found = tuple(one for one in self.experiments if table is None or table in (one.name, *one.tables))
        if not found:
            names = [name for one in self.experiments for name in (*one.tables, one.name)]
            raise UsageError(
                f"{self.name} has no table {table!r} here",
                where="--table",
                hint=known_names(str(table), names, listed="Choose one of"),
            )
        return found


# docs/gpus.md: a base model on an H200 at the MFU that is assumed there.
_RATE = "about 75 billion tokens a day on an H200 (docs/gpus.md: assumed, not measured)"
_ENGLISH = "corpus: an estimate of 30 CPU hours, without semantic importance (docs/scale.md)"
KMLM = Paper(
    name="kmlm",
    citation="KMLM (arXiv 2111.10962)",
    scales={
        "demo": Scale(
            name="demo",
            corpus=None,
            training=None,
            settings=("schedule_steps=100",),
            seeds=None,
            differences=(
                "the graph is the embedded world in place of Wikidata",
                "plain text is its articles in four languages in place of CC100",
                "small models start from random weights in place of XLM-R",
                "100 steps of a small batch; one seed of pretraining, three of fine-tuning",
            ),
        ),
        "paper": Scale(
            name="paper",
            corpus="kmlm-paper-corpus",
            training="kmlm-xlmr-base",
            settings=(),
            seeds=None,
            differences=(
                "each language has a tenth of CC100's sentences, because the print does not give the shares",
                "cycles are counted in both directions of an edge, then capped (docs/papers.md)",
                "one seed of pretraining, three of fine-tuning",
            ),
            time=(
                "corpus: an estimate of 100 CPU hours, most of them to unpack Wikidata's dump and CC100; the "
                "unpacking of one .xz file uses one core",
                "training: an estimate of 20 billion tokens a run, 3 runs; " + _RATE,
            ),
            disk="an estimate: 315 GB of inputs, 100 GB of tables, 100 GB to shuffle (SPARK_LOCAL_DIRS), "
            "5 GB a run",
        ),
    },
    experiments=(
        Experiment("sizes", ("8", "10"), "Tables 8 and 10: sizes of the training data", None, kmlm_sizes),
        Experiment(
            "xlr",
            ("xlr",),
            "Section 4.5: accuracy on XLR, fine-tuned on English, in percent",
            "sweeps/kmlm-xlr",
            kmlm_xlr,
        ),
    ),
)
_TRELM_DEMO = (
    *("schedule_steps=60", "lr=3e-3", "records_per_step=16", "max_length=128"),
    *("model.layers=1", "model.vocab_size=4000", "transe.steps=300"),
)
_TRELM_SCORE = "the score is the decoding of facts (evaluate cka) in place of LAMA and the downstream tasks"
TRELM = Paper(
    name="trelm",
    citation="TRELM (arXiv 2403.11203)",
    scales={
        "demo": Scale(
            name="demo",
            corpus=None,
            training=None,
            settings=_TRELM_DEMO,
            seeds=(0,),
            differences=(
                "the corpus is the embedded world in place of English Wikipedia and Wikidata5M",
                "a model of one layer starts from random weights in place of BERT or RoBERTa",
                _TRELM_SCORE,
                "60 steps, one seed",
            ),
        ),
        "paper": Scale(
            name="paper",
            corpus="trelm-paper-corpus",
            training="trelm-roberta-base",
            settings=(),
            seeds=None,
            differences=(
                "the paper gives no learning rate, batch size or number of steps",
                _TRELM_SCORE,
                "docs/papers.md lists what deviates in the method",
            ),
            time=(
                _ENGLISH,
                "semantic importance: an estimate of 1.5 hours of an H200, or 164 days of one CPU thread "
                "(docs/importance.md)",
                "training: an estimate of 6.7 billion tokens a run, 114 runs for all figures and tables; "
                + _RATE,
            ),
            disk="an estimate: 20 GB of inputs, 0.2 TB of tables, 0.2 TB to shuffle (SPARK_LOCAL_DIRS), 3 GB "
            "a run",
        ),
    },
    experiments=(
        Experiment("injection", ("figure-3",), "Figure 3: whom to inject", "sweeps/trelm-injection", runs),
        Experiment(
            "curves", ("figure-4", "figure-5"), "Figures 4 and 5: over time", "sweeps/trelm-curves", runs
        ),
        Experiment("ablations", ("6",), "Table 6: ablations", "sweeps/trelm-ablations", runs),
        Experiment(
            "memory-routing",
            ("figure-6",),
            "Figure 6: memory and routing",
            "sweeps/trelm-memory-routing",
            runs,
        ),
        Experiment("theta", ("figure-7",), "Figure 7: theta", "sweeps/trelm-theta", runs),
        Experiment("memory", ("figure-8",), "Figure 8: the memory's beta and k", "sweeps/trelm-memory", runs),
    ),
)
_JAKET_DEMO = (
    *("schedule_steps=200", "lr=1e-3", "max_length=128", "model.hidden=128", "model.layers=2"),
    *("model.vocab_size=4000", "jaket.km_lr_scale=3", "jaket.unseen_share=0.5"),
)
_JAKET_CLASSES = "classes are asked of the entities that pretraining leaves aside, in place of the graph KG'"
_METAQA = (
    "kb.txt",
    *(f"{n}-hop/vanilla/qa_{part}.txt" for n in (1, 2, 3) for part in ("train", "dev", "test")),
)
JAKET = Paper(
    name="jaket",
    citation="JAKET (arXiv 2010.00796)",
    scales={
        "demo": Scale(
            name="demo",
            corpus=None,
            training=None,
            settings=_JAKET_DEMO,
            seeds=None,
            evaluation=("lr=2e-3", "limit=500", "jaket.train_episodes=50", "jaket.test_episodes=50"),
            left_out=("classes-5-",),
            differences=(
                "corpus and graph are the embedded world in place of English Wikipedia and Wikidata5M",
                "a small model starts from random weights in place of RoBERTa",
                "the baselines have the language model of the JAKET run in place of RoBERTa",
                _JAKET_CLASSES,
                "of about 90 such entities, 5 % of the training labels are too few to train on",
                "200 steps; one seed of pretraining, three of fine-tuning; MetaQA with 500 questions of each "
                "part, FewRel with 50 episodes an epoch and 50 of the test",
            ),
        ),
        "paper": Scale(
            name="paper",
            corpus="jaket-paper-corpus",
            training="jaket-roberta-base",
            settings=(),
            seeds=None,
            evaluation=("jaket.language_model=roberta-base",),
            differences=(
                _JAKET_CLASSES,
                "FewRel is scored on val_wiki.json, because the official test is hidden",
                "the fine-tuning's learning rates and epochs are this project's",
                "one seed of pretraining, three of fine-tuning",
                "docs/papers.md lists what deviates in the method",
            ),
            time=(
                _ENGLISH,
                "training: an estimate of 30 billion tokens of text in 8 epochs, 1 run; " + _RATE,
            ),
            disk="an estimate: 21 GB of inputs, 0.2 TB of tables, 0.2 TB to shuffle (SPARK_LOCAL_DIRS), "
            "25 GB for the run, whose entity memory has 3.7 million rows",
        ),
    },
    experiments=(
        Experiment("sizes", (), "Section 4.1: sizes of the training data", None, jaket_sizes),
        Experiment(
            "classes",
            ("3",),
            "Table 3: accuracy of entity classification by share of the training labels, in percent",
            "sweeps/jaket-classes",
            jaket_classes,
            runs="runs",
        ),
        Experiment(
            "metaqa",
            (),
            "MetaQA: Hits@1 in percent",
            "sweeps/jaket-metaqa",
            jaket_metaqa,
            data="metaqa",
            files=_METAQA,
            runs="runs",
        ),
        Experiment(
            "fewrel",
            (),
            "FewRel: accuracy in percent",
            "sweeps/jaket-fewrel",
            jaket_fewrel,
            data="fewrel",
            files=("train_wiki.json", "val_wiki.json"),
            runs="runs",
        ),
    ),
)
PAPERS = {paper.name: paper for paper in (KMLM, TRELM, JAKET)}


def paper_of(name: str) -> Paper:
    """Return the paper of that name.

    Raises:
        UsageError: it cannot be reproduced.
    """
    if name not in PAPERS:
        raise UsageError(
            f"cannot reproduce {name!r}",
            where="PAPER",
            hint=known_names(name, sorted(PAPERS), listed="Choose one of"),
        )
    return PAPERS[name]


FOLDERS = ("DUMPS", "WIKIDATA5M", "CC100", "METAQA", "FEWREL")


def environment(data: Path) -> dict[str, str]:
    """Return the variables of the configurations in conf/ for inputs below one folder."""
    return {name: str(data / name.lower()) for name in FOLDERS}
