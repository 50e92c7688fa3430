import pytest

from kgcorpus.contracts.errors import UsageError
from proofs.experiment import write_result
from proofs.trelm import Plan
from proofs.trelm_cells import ARMS, Cell, Training, configure
from proofs.trelm_report import result, tables
from proofs.trelm_world import Size
from trainer.trelm.memory import memory_weight


def small(**changed):
    training = Training(base_steps=4, steps=8, probes=2, hidden=16, layers=2, heads=2, kge_steps=2)
    fields = {"rates": (1e-3,), "tuning": (8,), "seeds": (7,), **changed}
    return Plan(**fields, size=Size(people=8, tails=4), training=training)


def test_the_arms_differ_in_what_their_names_say(tmp_path):
    training = Training()
    made = {arm: configure(Cell(arm, "new", 1e-3, 1), tmp_path, training).trelm for arm in ARMS}
    assert made["dense"].routing.mode == made["DKPLM-style"].routing.mode == "none"
    assert made["DKPLM-style"].provider == "shared"
    assert not made["DKPLM-style"].memory.enabled
    assert made["path, random 30%"].routing.choice == "random"
    assert made["exact, attributed 10%"].routing.share == 0.1
    rest = {arm: options.model_copy(update={"routing": None}) for arm, options in made.items()}
    assert made["exact, attributed 30%, layer by layer"].routing.attribution == "layer"
    assert made["exact, random 30%, upper half"].routing.lowest_layer == 2
    assert made["exact, random 30%, half dense"].warmup_steps == training.steps // 2
    others = ("DKPLM-style", "dense, no memory")
    same = [arm for arm in ARMS if arm not in others and not arm.endswith("half dense")]
    assert len({rest[arm].model_dump_json() for arm in same}) == 1


def test_rate_and_lambda_reach_0_within_a_run(tmp_path):
    training = Training()
    for arm, options in ARMS.items():
        config = configure(Cell(arm, "mixed", 1e-3, 1), tmp_path, training)
        assert config.schedule_steps == training.steps
        weights = [
            memory_weight(step, config.trelm.memory, total_steps=config.schedule_steps, epoch_steps=99)
            for step in range(training.steps)
        ]
        assert weights[0] == 0.5
        assert weights[-1] == 0, options


@pytest.mark.slow
def test_a_stopped_proof_goes_on_and_another_plan_is_refused(tmp_path):
    plan = small()
    sweep, compared = plan.run_both(tmp_path / "work", workers=1)
    assert len(sweep) == len(compared) == 2 * len(plan.arms)
    one = tmp_path / "work" / "cells" / f"{plan.sweep[0].name}.json"
    kept = {path: path.stat().st_mtime_ns for path in one.parent.iterdir() if path != one}
    one.unlink()
    again, _ = plan.run_both(tmp_path / "work", workers=1)
    assert [probe["right"] for probe in again[0]["series"]] == [x["right"] for x in sweep[0]["series"]]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    found, cells = result(compared), {"sweep": again, "compared": compared}
    write_result(tmp_path / "trelm", plan, found, cells, text=tables(found, again, compared))
    assert "| LoRA of 30% |" in (tmp_path / "trelm.md").read_text()
    with pytest.raises(UsageError):
        small(rates=(2e-3,)).run_both(tmp_path / "work", workers=1)
