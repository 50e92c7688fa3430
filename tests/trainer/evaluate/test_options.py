"""Every option of an evaluation acts: another value gives another result of `kgcorpus evaluate`."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgcorpus.cli import app, run_app
from tests.options.fields import nested, options_of
from tests.trainer.conftest import WORDS
from tests.trainer.evaluate.probe.test_lama import trex
from tests.trainer.evaluate.probe.test_xfactr import row
from tests.trainer.jaket.evaluate.test_entity_classification import world
from tests.trainer.jaket.evaluate.test_fewrel_pair import sentences
from tests.trainer.jaket.evaluate.test_metaqa import write_metaqa
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import rows_of, write_corpus
from trainer.evaluate.config import EvaluationConfig

QUICK = {"epochs": 1, "lr": 0.01, "batch": 4, "max_length": 64}
# What a result repeats of its configuration shows nothing.
ECHOES = {
    "config",
    "arm",
    "label_share",
    "read_out",
    "hops",
    "graph_share",
    "ways",
    "shots",
    "train_episodes",
    "decoding",
}


@dataclass(frozen=True)
class Case:
    """A benchmark's run and another value; `given` are further settings of both."""

    benchmark: str
    value: Any
    given: dict[str, Any] = field(default_factory=dict)


_EPISODES = {"jaket.ways": 2, "jaket.train_episodes": 6, "jaket.test_episodes": 30, "jaket.graph": "{graph}"}
CASES = {
    "seeds": Case("glue", [1]),
    "epochs": Case("glue", 2),
    "lr": Case("glue", 1e-3),
    "warmup": Case("glue", 0.9),
    "weight_decay": Case("glue", 0.9),
    "batch": Case("glue", 2),
    "max_length": Case("glue", 9),
    "precision": Case("glue", "bf16"),
    "limit": Case("glue", 7),
    "train_language": Case("ner", "de"),
    "languages": Case("ner", ["en"]),
    "exclude_relations": Case("cycles", ["P0", "P1"]),
    "exclude_corpus": Case("lama", "{facts}"),
    "probing.common_vocabulary": Case("lama", "{words}"),
    "probing.name_model": Case("lama-uhn", "{other}"),
    "probing.masks": Case("xfactr", 1),
    "probing.decoding": Case("xfactr", ["independent"]),
    "jaket.arm": Case("metaqa", "lm"),
    "jaket.answer_vectors": Case("metaqa", "centred"),
    "jaket.hops": Case("metaqa", 2),
    "jaket.graph_share": Case("metaqa", 0.3),
    "jaket.label_share": Case("jaket-entities", 0.3),
    "jaket.read_out": Case("jaket-entities", "text", {"lr": 1e-4}),
    "jaket.language_model": Case("metaqa", "{other}", {"jaket.arm": "lm"}),
    "jaket.merge": Case("metaqa", "gate", {"jaket.arm": "lm+gnn"}),
    "jaket.relation_memory": Case("jaket-entities", "raw"),
    "jaket.graph": Case("fewrel-pair", "{other_graph}", {**_EPISODES, "jaket.test_episodes": 200}),
    "jaket.pair_edges": Case(
        "fewrel-pair", "hidden", {**_EPISODES, "jaket.graph": "{paired}", "jaket.test_episodes": 200}
    ),
    "jaket.ways": Case("fewrel-pair", 3, _EPISODES),
    "jaket.shots": Case("fewrel-pair", 3, _EPISODES),
    "jaket.train_episodes": Case("fewrel-pair", 12, _EPISODES),
    "jaket.test_episodes": Case("fewrel-pair", 11, _EPISODES),
}


def test_every_evaluation_option_has_a_case() -> None:
    assert sorted(CASES) == sorted(options_of(EvaluationConfig))


class Evaluations:
    """Results of `kgcorpus evaluate` on toy data; each is made once."""

    def __init__(self, folder: Path, models: dict[str, Path]) -> None:
        self._folder, self._models = folder, models
        self._paths = {"graph": folder / "graph", "facts": folder / "facts", "words": folder / "words.txt"}
        self._paths["other"] = models["other"]
        self._data = {name: make(folder / name) for name, make in DATA.items()}
        self._paths["other_graph"] = folder / "other_graph"
        write_corpus(self._paths["graph"], jaket_rows(120))
        write_corpus(self._paths["other_graph"], jaket_rows(120, seed=1))
        # Each sentence's head and tail have an edge.
        ends = sorted({(row["h"][1], row["t"][1]) for rows in sentences().values() for row in rows})
        edges = [{"h": h, "r": "P1", "t": t} for h, t in ends]
        self._paths["paired"] = folder / "paired"
        write_corpus(self._paths["paired"], {**jaket_rows(120), "jaket_edges": edges})
        fact = {"triples": [{"h": "Q0", "r": "P19", "t": "Q100"}]}
        write_corpus(self._paths["facts"], {"triples": fact["triples"]})
        self._paths["words"].write_text("Rome\nLima\n")
        self.result = cache(self._result)

    def of(self, case: Case, option: str | None) -> str:
        """The result with the option's other value, or without."""
        values = {**QUICK, **case.given, **({option: case.value} if option else {})}
        text = json.dumps(nested(values))
        for name, path in self._paths.items():
            text = text.replace(f"{{{name}}}", str(path))
        return self.result(case.benchmark, text)

    def _result(self, benchmark: str, settings: str) -> str:
        config, out = self._folder / "config.yaml", self._folder / "out.json"
        config.write_text(yaml.safe_dump(json.loads(settings)))
        kind = "jaket" if benchmark in JAKET else "bert"
        words = ["evaluate", benchmark, "--model", self._models[kind], "--data", self._data[benchmark]]
        words += ["--out", out, "--config", config]
        assert run_app(lambda: app([*map(str, words)], standalone_mode=False)) == 0
        return json.dumps(without_echoes(json.loads(out.read_text())))


def without_echoes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_echoes(item) for key, item in value.items() if key not in ECHOES}
    return value


JAKET = {"metaqa", "jaket-entities", "fewrel-pair"}


def _glue(folder: Path) -> Path:
    """STS-B, whose correlations show the smallest change of a weight."""
    (folder / "STS-B").mkdir(parents=True)
    head = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    words = WORDS.split()
    for split, n in (("train", 40), ("dev", 24)):
        texts = [(" ".join(words[i % 9 : i % 9 + 7]), f"{words[i * 7 % 20]} is") for i in range(n)]
        scored = [(i, one, other, i * 3 % 5) for i, (one, other) in enumerate(texts)]
        rows = [f"{i}\tg\tf\ty\t{i}\ts\ts\t{one}\t{other}\t{n}.0\n" for i, one, other, n in scored]
        (folder / "STS-B" / f"{split}.tsv").write_text(head + "".join(rows))
    return folder


def _ner(folder: Path) -> Path:
    for lang, n in (("en", 8), ("de", 12)):
        (folder / lang).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / lang / split).write_text("Ada\tB-PER\nin\tO\nUlm\tB-LOC\n\n" * n)
    return folder


def _lama(folder: Path) -> Path:
    (folder / "TREx").mkdir(parents=True)
    template = {"relation": "P19", "template": "[X] was born in [Y] .", "label": "birth", "type": "N-1"}
    (folder / "relations.jsonl").write_text(json.dumps(template) + "\n")
    people, cities = ("Ada", "Bob", "Carl", "Dora"), ("Ulm", "Rome", "Paris", "Lima")
    facts = [trex(*fact, number=i) for i, fact in enumerate(zip(people, cities, strict=True))]
    (folder / "TREx" / "P19.jsonl").write_text("".join(facts))
    return folder


def _xfactr(folder: Path) -> Path:
    (folder / "mTRExf" / "sub").mkdir(parents=True)
    (folder / "alias" / "mTRExf").mkdir(parents=True)
    (folder / "TREx_prompts.csv").write_text("pid,relation,en\nP19,birth,[X] was born in [Y] .\n")
    facts = row("P19", "Q1", "Q11", "Ada", "Ulm") + row("P19", "Q2", "Q12", "Bob", "Rome city")
    (folder / "mTRExf" / "sub" / "P19.jsonl").write_text(facts)
    (folder / "mTRExf_multi_rel.txt").write_text("Q1\tP19\tQ11\n")
    (folder / "mTRExf_gender.txt").write_text("Q1\tfemale\n")
    return folder


def _entities(folder: Path) -> Path:
    return write_corpus(folder, world(120, seed=1))


def _cycles(folder: Path) -> Path:
    return write_corpus(folder, rows_of(400))


def _metaqa(folder: Path) -> Path:
    folder.mkdir()
    return write_metaqa(folder)


def _fewrel(folder: Path) -> Path:
    folder.mkdir()
    # Twice the relations, so that each of three parts has four.
    twice = {f"{relation}{n}": rows for n in range(2) for relation, rows in sentences().items()}
    (folder / "val_wiki.json").write_text(json.dumps(twice))
    return folder


DATA: dict[str, Callable[[Path], Path]] = {
    "glue": _glue,
    "ner": _ner,
    "lama": _lama,
    "lama-uhn": _lama,
    "xfactr": _xfactr,
    "cycles": _cycles,
    "jaket-entities": _entities,
    "metaqa": _metaqa,
    "fewrel-pair": _fewrel,
}


@pytest.fixture(scope="module")
def evaluations(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluations:
    from tests.trainer.evaluate.teaching import teach
    from trainer.config import ModelConfig, TrainingConfig
    from trainer.jaket.config import JaketConfig
    from trainer.run import train

    folder = tmp_path_factory.mktemp("evaluations")
    small = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)
    config = TrainingConfig(model=small, max_length=80, jaket=JaketConfig(passages=8, roots=16, gat_heads=2))
    seen = write_corpus(folder / "seen", jaket_rows())
    taught = teach(
        bert,
        tmp_path_factory.mktemp("taught"),
        {"Ada was born in [MASK] .": "Ulm", "Bob was born in [MASK] .": "Paris"}
        | {"Bob was born in [MASK] [MASK] .": "Rome city"},
    )
    common = "{} is a common name in the following city : [MASK] ."
    other = teach(
        bert, tmp_path_factory.mktemp("other"), {common.format("Ada"): "Ulm", common.format("Bob"): "Rome"}
    )
    jaket = train("jaket", corpus=seen, out=folder / "run", config=config, max_steps=3)
    return Evaluations(folder, {"bert": taught, "other": other, "jaket": jaket})


@pytest.mark.slow
@pytest.mark.parametrize("option", CASES)
def test_another_value_of_the_option_shows(evaluations: Evaluations, option: str) -> None:
    case = CASES[option]
    assert evaluations.of(case, option) != evaluations.of(case, None)
