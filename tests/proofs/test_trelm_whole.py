"""The proof of the whole of TRELM against the whole of DKPLM, at a tiny size."""

import json
import lzma

import pytest

from kgcorpus.contracts.errors import UsageError
from proofs.trelm_whole import DKPLM, NAME, TRELM, Plan, prove, result, tables
from proofs.typing_task import write_task
from tests.trainer.trelm.world import LABELS, passages_of, write_world
from trainer.config import ModelConfig, TrainingConfig

KBP = '7\t" <e1> Ada </e1> of <e2> Ulm </e2> . "\nper:city(e1,e2)\n\n\n8\t"<e2> Oslo </e2>, <e1> Bob </e1>"\n'
KBP += "no_relation\n\n\n"


def write_typing(folder):
    articles = [
        {"title": f"Ulm {i}", "qid": f"Q{i}", "text": f"Old Ulm {i} is a town. It is here."}
        for i in range(60)
    ]
    articles += [{"title": "Absent", "qid": "Q1", "text": "Nobody is here."}]
    with lzma.open(folder / "summaries.jsonl.xz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(article) + "\n" for article in articles)
    types = [f"Q{i}\tQ7000\t{'Q7001' if i % 2 else 'Q7002'}\tQ{8000 + i}" for i in range(50)]
    (folder / "types.tsv").write_text("\n".join(types) + "\n")
    return write_task(folder / "summaries.jsonl.xz", folder / "types.tsv", folder / "types", classes=2)


def test_a_mention_s_types_are_the_most_frequent_ones_and_an_entity_is_in_one_part(tmp_path):
    sizes = write_typing(tmp_path)
    parts = {part: json.loads((tmp_path / "types" / f"{part}.json").read_text()) for part in sizes}
    assert {part: len(items) for part, items in parts.items()} == sizes
    assert sum(sizes.values()) == 50
    assert sizes["train"] > 30
    assert min(sizes.values()) > 0
    items = [item for part in parts.values() for item in part]
    assert all(item["sent"][item["start"] : item["end"]].startswith("Ulm ") for item in items)
    assert all(item["sent"].endswith("is a town.") for item in items)
    assert {tuple(item["labels"]) for item in items} <= {("Q7000",), ("Q7000", "Q7001"), ("Q7000", "Q7002")}
    assert len({label for item in items for label in item["labels"]}) == 2


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    from trainer.digests import digest_of_model
    from trainer.masked_lm import load_lm
    from trainer.tokenizer import make_tokenizer

    folder = tmp_path_factory.mktemp("whole")
    texts = [row["text"] for row in passages_of(60)] + list(LABELS.values())
    tokenizer = make_tokenizer(texts, vocab_size=340, max_length=128)
    model = folder / "base" / "run" / "model"
    tokenizer.save_pretrained(model)
    config = TrainingConfig(max_length=128, model=ModelConfig(hidden=16, layers=2, heads=2))
    load_lm(config, tokenizer, longest=128).lm.save_pretrained(model)
    relation = {"n": 3, "p@1": 1.0, "majority": 0.0, "chance": 0.0}
    found = {
        "plan": {"floor": {"share": 0, "facts": 1}},
        "model": digest_of_model(str(model)),
        "lama": {"trex": {"relations": {"P19": relation}}},
    }
    (folder / "base" / "base.json").write_text(json.dumps(found))
    (folder / "kbp37").mkdir()
    for name in ("train.txt", "dev.txt", "RELX_en.txt"):
        (folder / "kbp37" / name).write_text(KBP)
    write_typing(folder)
    names = ("base", "corpus", "kbp37", "types")
    write_world(folder / "corpus")
    return {name: folder / name for name in names}


def small(**changed):
    fields = {"rates": (1e-3,), "tuning": (8,), "seeds": (7,), "steps": 6, "checkpoints": 2, "kge_steps": 2}
    fields |= {"fine_tunings": (0,), "limit": 8, "epochs": 1, "calibration_steps": 3, "records_per_step": 8}
    return Plan(**{**fields, **changed})


def test_the_arms_are_the_papers(tmp_path):
    made = {arm: Plan().configure(arm, tmp_path, lr=1e-4, seed=1, steps=100).trelm for arm in (TRELM, DKPLM)}
    assert made[TRELM].routing.mode == "exact"
    assert made[TRELM].memory.enabled
    assert made[TRELM].warmup_steps == 5
    assert made[DKPLM].routing.mode == "none"
    assert made[DKPLM].provider == "shared"
    assert not made[DKPLM].memory.enabled
    costs = {TRELM: {"step": 0.5, "routing": 5.0}, DKPLM: {"step": 1.0, "routing": 0.0}}
    assert Plan().steps_of(costs) == {TRELM: 1160, DKPLM: 600}


def cell(arm, seed, values, seconds=100.0):
    clock = [seconds * i / (len(values) - 1) for i in range(len(values))]
    series = [
        {"step": i, "seconds": at, "right": {"new": value, "kbp37": value, "types": value}}
        for i, (at, value) in enumerate(zip(clock, values, strict=True))
    ]
    return {"arm": arm, "lr": 1e-3, "seed": seed, "series": series, "steps": 4, "losses": [1.0]}


def test_the_share_of_time_to_the_same_f1_decides():
    def of(trelm):
        cells = [cell(a, s, v) for s in (1, 2, 3) for a, v in ((TRELM, trelm), (DKPLM, (0.2, 0.3, 0.4)))]
        found = result(cells)
        return found["primary"], tables(found, cells, cells)

    primary, text = of((0.2, 0.6, 0.7))
    assert primary["difference"] == pytest.approx(0.25)
    assert primary["met"]
    assert "The interval is below 0.5" in text
    never, text = of((0.2, 0.2, 0.3))
    assert never["reached"] == 0
    assert never["difference"] == 2
    assert "not below 0.5" in text


@pytest.mark.slow
def test_a_stopped_proof_runs_the_missing_cells(inputs, tmp_path):
    results = tmp_path / "results"
    prove(tmp_path / "out", results, inputs=inputs, workers=1, plan=small())
    cells = {path.name for path in (results / NAME).glob("*-seed*.json")}
    assert len(cells) == 4
    found = json.loads((results / f"{NAME}.json").read_text())
    for cell in found["compared"]:
        assert all(set(probe["right"]) == {"new", "kbp37", "types"} for probe in cell["series"])
        assert cell["series"][-1]["step"] == cell["steps"]
        assert len(cell["series"]) == 1 + min(2, cell["steps"])
    assert "| TRELM |" in (results / f"{NAME}.md").read_text()
    kept = {path: path.stat().st_mtime_ns for path in (results / NAME).glob("*.json")}
    prove(tmp_path / "out", results, inputs=inputs, workers=1, plan=small())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    with pytest.raises(UsageError):
        prove(tmp_path / "other", results, inputs=inputs, workers=1, plan=small(steps=8))
