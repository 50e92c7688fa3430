"""A sweep's table holds what its runs wrote, and what has been done is not done again."""

import json
import shutil
import statistics
from pathlib import Path

import pytest

from kgcorpus.config import load
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.links import remove
from tests.trainer.toy import rows_of, write_corpus
from trainer.metrics_log import read_metrics
from trainer.registry import OBJECTIVES
from trainer.sweep import SweepConfig, run_sweep, tables

SWEEPS = sorted((Path(__file__).parents[2] / "conf" / "sweeps").glob("*.yaml"))
SHARED = {
    "model": {"hidden": 16, "layers": 1, "heads": 2, "vocab_size": 400},
    "records_per_step": 6,
    "schedule_steps": 4,
    "checkpoint_every": 2,
    "keep": 9,
}


def grid(**changes):
    return SweepConfig.model_validate(
        {
            "objective": "kmlm",
            "arms": {"whole": {}, "without cycles": {"kmlm.streams": ["plain", "code_switched"]}},
            "vary": {"lr": [0.001, 0.01]},
            "seeds": [0, 1],
            "scores": [{"benchmark": "cycles", "report": ["overall.accuracy"], "series": True}],
            **changes,
        }
    )


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".jsonl", ".json")}


def test_a_sweep_trains_scores_and_tabulates_and_goes_on(corpus, tmp_path):
    table = run_sweep(grid(seeds=[0]), corpus=str(corpus), out=tmp_path, shared=SHARED)
    first = table.read_text()
    before = modified(tmp_path)
    assert run_sweep(grid(seeds=[0]), corpus=str(corpus), out=tmp_path, shared=SHARED).read_text() == first
    run_sweep(grid(), corpus=str(corpus), out=tmp_path, shared=SHARED)
    after = modified(tmp_path)
    runs = [path for path in before if "__seed-" in path.parts[-2] and "checkpoints" not in path.parts]
    assert runs
    # `train` opens the metrics of an ended run to cut back what a kill left, and finds nothing.
    assert all(after[path] == before[path] for path in runs if path.name != "metrics.jsonl")

    found = json.loads((tmp_path / "sweep.json").read_text())
    assert [(cell["name"], cell["seed"]) for cell in found] == [
        (f"{arm}, lr {lr}", seed)
        for seed in (0, 1)
        for arm in ("whole", "without cycles")
        for lr in (0.001, 0.01)
    ]
    rows = [line.split(" | ") for line in (tmp_path / "sweep.md").read_text().split("\n")]
    losses = [
        read_metrics(tmp_path / f"without-cycles__lr-0.01__seed-{seed}" / "metrics.jsonl")[-1]["loss"]
        for seed in (0, 1)
    ]
    shown = next(row for row in rows if row[0] == "| without cycles, lr 0.01")
    assert shown[1:3] == ["2", "4"]
    assert shown[4] == f"{statistics.fmean(losses):.4f} ± {statistics.stdev(losses):.4f}"
    scores = json.loads((tmp_path / "whole__lr-0.001__seed-1" / "cycles-series.json").read_text())["series"]
    points = found[4]["series"][0]["points"]
    assert [value for _, value in points] == [point["overall"]["accuracy"] for point in scores]
    assert len(points) == 2


@pytest.mark.parametrize("series", [False, True])
def test_a_score_is_made_again_when_the_model_or_the_data_changed(series, tmp_path):
    out, corpus, data = (tmp_path / name for name in ("sweep", "corpus", "data"))
    score = {"benchmark": "cycles", "report": ["overall.accuracy"], "series": series, "data": str(data)}
    one = grid(arms={"whole": {}}, vary={}, seeds=[0], scores=[score])
    run = out / "whole__seed-0"
    for folder in (corpus, data):
        write_corpus(folder, rows_of(40))

    def scored_at():
        run_sweep(one, corpus=str(corpus), out=out, shared=SHARED)
        return (run / ("cycles-series.json" if series else "cycles.json")).stat().st_mtime_ns

    first = scored_at()
    assert scored_at() == first
    # Trained again on other records; the scores of the former model are still there.
    shutil.rmtree(corpus)
    write_corpus(corpus, rows_of(39))
    for path in run.iterdir():
        if not path.name.startswith("cycles"):
            remove(path)
    second = scored_at()
    assert second > first
    shutil.rmtree(data)
    write_corpus(data, rows_of(38))
    third = scored_at()
    assert third > second
    assert scored_at() == third


def test_a_damaged_score_is_made_again(tmp_path):
    write_corpus(tmp_path / "corpus", rows_of(40))
    score = {"benchmark": "cycles", "report": ["overall.accuracy"]}
    one = grid(arms={"whole": {}}, vary={}, seeds=[0], scores=[score])
    options = {"corpus": str(tmp_path / "corpus"), "out": tmp_path / "sweep", "shared": SHARED}
    table = run_sweep(one, **options).read_text()
    for name in ("cycles.json", "cycles.asked.json"):
        for damage in (b"", b"[" * 100_000, b"\xff", b"[]"):
            (tmp_path / "sweep" / "whole__seed-0" / name).write_bytes(damage)
            assert run_sweep(one, **options).read_text() == table


def test_runs_are_compared_at_the_same_time_after_their_start():
    def cell(name, seconds, points):
        series = [{"score": "s", "points": points}]
        common = {"seed": 0, "steps": 4, "loss": 1.0, "scores": {"s": points[-1][1]}}
        return {"name": name, "seconds": seconds, "series": series, **common}

    found = [
        cell("quick", 8.0, [(2, 0.1), (8, 0.2)]),
        cell("slow", 20.0, [(6, 0.3), (20, 0.9)]),
        cell("both", 20.0, [(2, 0.1), (20, 0.9)]),
        cell("both", 20.0, [(6, 0.5), (20, 0.9)]),
    ]
    _, matched = tables(found)
    assert matched.split("\n")[-3:] == [
        "| quick | 0.1000 | 0.1000 | 0.1000 | 0.2000 |",
        "| slow | - | - | 0.3000 | 0.3000 |",
        "| both | - | - | 0.3000 ± 0.2828 | 0.3000 ± 0.2828 |",
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"arms": {"a": {"kmlm.alfa": 1}}},
            r"arm a, lr 0.001: unknown key kmlm.alfa, did you mean kmlm.alpha",
        ),
        ({"vary": {"lr": [-1.0]}}, r"arm whole, lr -1.0: lr: "),
        ({"arms": {"a": {"lr.x": 1}}, "vary": {}}, r"arm a: lr.x: lr is not a section"),
        ({"seeds": [0, 0]}, r"2 runs would share the folder whole__lr-0.001__seed-0"),
        ({"arms": {"a b": {}, "a-b": {"lr": 1}}, "vary": {}}, r"2 runs would share the folder a-b__seed-0"),
        (
            {"vary": {}, "seeds": [0], "scores": [{"benchmark": "cycles", "report": ["overall.acuracy"]}]},
            r"no number 'overall.acuracy'. It has: .*overall.accuracy",
        ),
    ],
)
def test_what_is_wrong_is_told(changes, complaint, corpus, tmp_path):
    with pytest.raises(UsageError, match=complaint):
        run_sweep(
            grid(**changes),
            corpus=str(corpus),
            out=tmp_path,
            shared={**SHARED, "lr": 0.1, "schedule_steps": 1},
        )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("vary: {lr: []}", r"vary.lr: List should have at least 1 item"),
        ("vary: {seed: [0, 1]}", "seeds are named in `seeds`"),
        ("arms: {b: {seed: 1}}", "seeds are named in `seeds`"),
        ("scores: [{benchmark: cyles, report: [a]}]", "no benchmark is called 'cyles'"),
        (
            "scores: [{benchmark: glue, report: [a]}, {benchmark: glue, data: b, report: [a]}]",
            "two scores have the same files",
        ),
    ],
)
def test_a_grid_is_refused_before_it_is_run(text, complaint, tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("objective: kmlm\n" + ("" if "arms" in text else "arms: {a: {}}\n") + text)
    with pytest.raises(UsageError, match=complaint):
        load(SweepConfig, path)


def test_a_fault_of_the_common_settings_is_told_as_theirs(corpus, tmp_path):
    with pytest.raises(UsageError, match="the settings of every run: unknown key lrr"):
        run_sweep(grid(), corpus=str(corpus), out=tmp_path, shared={"lrr": 1})


def test_a_corpus_at_a_url_is_trained_on_and_asked_only_what_has_data(corpus, tmp_path):
    store = shutil.copytree(corpus, tmp_path / "store")
    url, out, shared = f"file://{store}", tmp_path / "sweep", {**SHARED, "schedule_steps": 1}
    score = {"benchmark": "cycles", "report": ["overall.accuracy"]}
    one = {"arms": {"whole": {}}, "vary": {}, "seeds": [0]}
    asked_twice = grid(**one, scores=[{**score, "data": str(corpus)}, {**score, "name": "of the corpus"}])
    with pytest.raises(UsageError, match=r"the scores of the corpus have no data.*Name a build's folder"):
        run_sweep(asked_twice, corpus=url, out=out, shared=shared)
    assert not out.exists()
    run_sweep(grid(**one, scores=[{**score, "data": str(corpus)}]), corpus=url, out=out, shared=shared)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_ready_sweep_is_valid(path):
    sweep = load(SweepConfig, path)
    assert sweep.objective in OBJECTIVES
    assert path.stem.split("-")[0] == sweep.objective
    folders = {cell.folder for cell in sweep.cells({})}
    assert len(folders) == len(sweep.cells({}))
