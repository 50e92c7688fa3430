"""The proof on a pretrained base, at a tiny size."""

import json
from dataclasses import asdict

import pytest

from kgcorpus.contracts.errors import UsageError
from proofs.corpus import write_build
from proofs.trelm_calibration import calibrate, markdown, pilot, steps_of
from proofs.trelm_facts import RELATIONS, Size, World
from proofs.trelm_facts_cells import ARMS, CUT, Training, configure, epoch_steps
from proofs.trelm_facts_report import ABOVE_CUT, DENSE, RANDOM, best_rates, result, roughness, tables
from proofs.trelm_pretrained import NAME, Plan, link_base, prove
from trainer.config import ModelConfig, TrainingConfig

SIZE = Size(people=6, places=2, tails=3, replay=8)
TRAINING = Training(epochs=1, records_per_step=8, kge_steps=2, calibration_steps=3)
REAL = [f"the old {word} of the town was made of stone in the year" for word in "abcdefghijklmn"]


def small(**changed):
    fields = {"rates": (1e-3,), "tuning": (8,), "seeds": (7,), "arms": (DENSE, ABOVE_CUT, CUT, RANDOM)}
    return Plan(**{**fields, **changed}, size=SIZE, training=TRAINING)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """What `proofs.base` leaves: a model, its corpus and LAMA's files, with a measurement above the floor."""
    from trainer.digests import digest_of_model
    from trainer.masked_lm import load_lm
    from trainer.tokenizer import make_tokenizer

    folder = tmp_path_factory.mktemp("base")
    texts = [f"{word} {word}" for relation in RELATIONS.values() for word in relation.tails.split()]
    tokenizer = make_tokenizer([*texts, *texts, *REAL], vocab_size=1500, max_length=64)
    model = folder / "run" / "model"
    tokenizer.save_pretrained(model)
    config = TrainingConfig(max_length=64, model=ModelConfig(hidden=16, layers=4, heads=2))
    load_lm(config, tokenizer, longest=64).lm.save_pretrained(model)
    rows = [
        {"id": f"{split}{i}", "lang": "en", "text": text, "length": 128, "split": split}
        for split in ("train", "test")
        for i, text in enumerate(REAL)
    ]
    write_build(folder / "corpus", {"plain_text": rows}, seed=0)
    data = folder / "lama" / "data"
    (data / "TREx").mkdir(parents=True)
    (data / "relations.jsonl").write_text('{"relation": "P19", "template": "[X] was born in [Y] ."}\n')
    facts = [{"predicate_id": "P19", "sub_label": name, "obj_label": "paris"} for name in "abc"]
    (data / "TREx" / "P19.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    relation = {"n": 3, "p@1": 1.0, "majority": 0.0, "chance": 0.0}
    found = {
        "plan": {"floor": {"share": 0, "facts": 1}},
        "model": digest_of_model(str(model)),
        "lama": {"trex": {"relations": {"P19": relation}}},
    }
    (folder / "base.json").write_text(json.dumps(found))
    return folder


def test_questions_have_wordings_and_names_that_no_passage_tells_in_one_token():
    world = World(Size(), seed=3, usable=lambda word: not word.startswith("b"))
    rows = world.passages(REAL)
    told = {fact.head: fact for fact in world.told}
    assert len(told) == 240
    assert len(rows) == 3 * 240 + len(REAL)
    for fact in world.told:
        own = [row["text"] for row in rows if any(m["qid"] == fact.head for m in row["mentions"])]
        assert len(own) == 3
        for wording in (0, 1):
            asked = world.question(fact, wording, blank="[Y]")
            assert world.names[fact.head] in asked
            assert asked.replace("[Y]", world.names[fact.tail]) not in own
    assert len(set(world.names.values())) == len(world.names)
    assert not [part for qid in told for part in world.names[qid].split() if part.startswith("b")]
    untold = [fact for fact in world.facts if not fact.told]
    texts = " ".join(row["text"] for row in rows)
    triples = {(row["h"], row["r"], row["t"]) for row in world.graph()["triples"]}
    for fact in untold:
        assert fact.relation != told[fact.head].relation
        assert (fact.head, fact.relation, fact.tail) in triples
        for wording in RELATIONS[fact.relation].told:
            assert wording.format(head=world.names[fact.head], tail=world.names[fact.tail]) not in texts
    mentions = [m for row in rows for m in row["mentions"] if m["long_tail"]]
    assert all(len(m["triples"]) == 2 for m in mentions)
    assert World(Size(), seed=3, usable=lambda word: True).names != world.names


def test_replay_is_one_to_three():
    size, training = Size(), Training()
    told = 3 * (size.people + size.places)
    assert told == 3 * size.replay
    assert epoch_steps(size, training) == (told + size.replay) / training.records_per_step


def test_the_arms_differ_in_what_their_names_say(tmp_path):
    made = {
        name: configure(arm, tmp_path / "seed1", Training(), lr=1e-3, seed=1, steps=100)
        for name, arm in ARMS.items()
    }
    assert len({config.model_dump_json() for config in made.values()}) == len(ARMS)
    options = {name: config.trelm for name, config in made.items()}
    assert options[CUT].routing.lowest_layer == 0.5
    assert options[CUT].warmup_steps == 0
    assert options["as printed"].warmup_steps == 5
    assert options["as printed"].plain_share == 0
    assert options["as printed, table"].routing.also == ("table",)
    assert options[RANDOM].routing.choice == "random"
    assert options["cut, also, no rows"].routing.share == options[ABOVE_CUT].routing.share == 0
    assert not options["cut, also, injection kept"].routing.depth_cut
    assert options["DKPLM-style"].provider == "shared"
    assert not options["DKPLM-style"].memory.enabled
    assert options["dense, text alone"].theta == 1
    assert all(config.schedule_steps == 100 for config in made.values())


def test_every_arm_has_the_dense_arm_s_time():
    costs = {arm: {"step": 0.5, "routing": 0.0, "flops": 1e9} for arm in ARMS}
    costs[CUT] = {"step": 0.2, "routing": 3.0, "flops": 4e8}
    costs["dense, text alone"]["step"] = 0.4
    steps = steps_of(costs, Size(), Training())
    assert steps[DENSE] == 240
    assert steps[CUT] == round((120 - 2 * 3) / 0.2)
    assert steps["dense, text alone"] == 300
    assert f"| {CUT} | 0.200 | 2.50 | 2.50 | 3.00 | 570 |" in markdown(costs, steps)


def cell(arm, seed, values, *, seconds=100.0, lr=1e-3, losses=(4.0, 3.0, 2.0, 1.0)):
    clock = [seconds * i / (len(values) - 1) for i in range(len(values))]
    series = [
        {"step": i, "seconds": at, "right": {"new": value, "known": 1 - value / 2}, "held_out": 3.0}
        for i, (at, value) in enumerate(zip(clock, values, strict=True))
    ]
    own = {"steps": 4, "losses": list(losses), "events": [], "trained": 10, "optimizer_bytes": 80}
    return {"arm": arm, "lr": lr, "seed": seed, "series": series, **own}


def cells_of(cut, above):
    found = []
    for seed in (1, 2, 3, 4, 5):
        found += [
            cell(DENSE, seed, (0, 0.45, 0.9, 1.0)),
            cell(ABOVE_CUT, seed, above),
            cell(CUT, seed, cut),
            cell(RANDOM, seed, (0, 0.5, 0.5, 0.5)),
        ]
    return found


def test_the_share_of_time_decides_and_names_layer_freezing():
    quick, slow = (0, 1.0, 1.0, 1.0), (0, 0.5, 0.8, 1.0)
    found = result(cells_of(quick, slow))
    # 90 % of 1 after .9 of the first third, dense after two thirds.
    assert found["primary"]["difference"] == pytest.approx(0.9 / 2)
    assert found["primary"]["met"]
    assert found["primary"]["reached"] == 5
    assert found["shares"][RANDOM]["reached"] == 0
    assert found["shares"][RANDOM]["difference"] == pytest.approx(3)
    assert found["gains"][CUT]["difference"] == pytest.approx(0)
    assert found["attributed"]["difference"] == pytest.approx(0.5)
    assert found["arms"][CUT]["known at the target"] == pytest.approx(1 - 0.45)
    cells = cells_of(quick, slow)
    text = tables(found, cells, cells, costs="costs")
    assert "The interval is below 0.5. Dense training with the same cut is slower." in text
    same = result(cells_of(quick, quick))
    assert "layer freezing, not knowledge paths" in tables(same, cells, cells, costs="costs")
    failed = result(cells_of((0, 0.1, 0.2, 0.8), slow))
    assert not failed["primary"]["met"]
    assert "not below 0.5" in tables(failed, cells, cells, costs="costs")


def test_the_rate_of_the_largest_area_is_chosen():
    sweep = [
        cell(DENSE, 8, (0, 1, 1), lr=1e-3),
        cell(DENSE, 8, (0, 0, 1), lr=3e-3),
        cell(CUT, 8, (0, 1), lr=1),
    ]
    assert best_rates(sweep) == {DENSE: 1e-3, CUT: 1}


def test_roughness_is_the_mean_change_over_the_fall():
    assert roughness([4, 3, 2, 1]) == pytest.approx(1 / 3)
    assert roughness([4, 1, 4, 1]) == pytest.approx(1)
    assert roughness([1, 2]) == float("inf")


def test_a_base_below_its_floor_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no measured base"):
        prove(tmp_path / "out", tmp_path / "results", base=tmp_path / "none", workers=1)


@pytest.mark.slow
def test_every_arm_takes_a_step(base, tmp_path):
    plan = small(arms=tuple(ARMS))
    link_base(tmp_path, base)
    folder = tmp_path / "seed8"
    assert plan.write_world(folder, seed=8)["passages"] == 3 * 8 + 8
    costs = calibrate(folder, TRAINING, seed=8, rounds=1)
    assert list(costs) == list(ARMS)
    assert all(cost["step"] > 0 and cost["flops"] > 0 for cost in costs.values())
    # No backward pass below the cut, and no weight gradient of the rows that are frozen.
    flops = {arm: cost["flops"] for arm, cost in costs.items()}
    assert flops["cut, also, no rows"] < flops[CUT] < flops[ABOVE_CUT] < flops[DENSE]
    assert flops[CUT] < flops["as printed"] < flops["as printed, table"] < flops[DENSE]
    assert flops["cut, also, no rows"] < flops["cut, also, injection kept"]
    shares = [int(share) for share in pilot(plan, tmp_path, lr=1e-3).split()]
    assert len(shares) == 1 + round(epoch_steps(SIZE, TRAINING)) // 2
    assert all(0 <= share <= 100 for share in shares)


@pytest.mark.slow
def test_a_stopped_proof_runs_the_missing_cells_and_refuses_another_plan(base, tmp_path):
    plan, results = small(), tmp_path / "results"
    prove(tmp_path / "out", results, base=base, workers=1, plan=plan)
    cells = results / NAME
    names = {path.name for path in cells.glob("*-seed*.json")}
    assert len(names) == 2 * len(plan.arms)
    page = (results / f"{NAME}.md").read_text()
    assert f"| {CUT} |" in page
    found = json.loads((results / f"{NAME}.json").read_text())
    assert found["plan"]["size"] == json.loads(json.dumps(asdict(SIZE)))
    (one,) = [cell for cell in found["compared"] if cell["arm"] == CUT]
    assert set(one["series"][-1]["right"]) >= {"new", "other wording", "graph only"}
    assert one["series"][-1]["held_out"] > 0
    steps = [probe["step"] for probe in one["series"]]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, one["steps"])
    assert len(one["losses"]) == one["steps"]
    kept = {path: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    removed = cells / next(iter(sorted(names)))
    removed.unlink()
    prove(tmp_path / "out", results, base=base, workers=1, plan=plan)
    assert {path: path.stat().st_mtime_ns for path in kept if path != removed} == {
        path: at for path, at in kept.items() if path != removed
    }
    assert removed.exists()
    with pytest.raises(UsageError):
        prove(tmp_path / "other", results, base=base, workers=1, plan=small(rates=(2e-3,)))
