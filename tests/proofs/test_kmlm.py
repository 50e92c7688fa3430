import json

import pytest

from kgcorpus.contracts.errors import UsageError
from proofs.cells import Training
from proofs.experiment import write_result
from proofs.kmlm import Plan
from proofs.report import result, tables
from proofs.world import Size


def small(**changed):
    training = Training(steps=2, hidden=16, layers=1)
    size = Size(entities=300, triangles=100, diamonds=20)
    return Plan(
        **{"rates": (1e-3,), "seeds": (7,), "validation": 5, "test": 10, **changed},
        size=size,
        training=training,
    )


@pytest.mark.slow
def test_a_stopped_proof_goes_on_and_another_plan_is_refused(tmp_path):
    plan = small()
    cells = tmp_path / "work" / "cells"
    found = plan.run(plan.cells, tmp_path / "work", workers=1)
    files = [cells / f"{cell.name}.json" for cell in plan.cells]
    assert found == [json.loads(file.read_text()) for file in files]
    first = {file.name: file.read_bytes() for file in files}
    assert sorted(first) == ["C-lr0.001-seed7.json", "M-lr0.001-seed7.json", "R-lr0.001-seed7.json"]
    assert sorted(path.name for path in cells.iterdir()) == sorted(first)

    files[0].unlink()
    plan.run(plan.cells, tmp_path / "work", workers=1)
    again, before = json.loads(files[0].read_text()), json.loads(first[files[0].name])
    assert again["right"] == before["right"]
    assert again["tokens"] == before["tokens"]
    assert all(file.read_bytes() == first[file.name] for file in files[1:])

    write_result(tmp_path / "kmlm", plan, result(found), {"cells": found}, text=tables(result(found), found))
    assert json.loads((tmp_path / "kmlm.json").read_text())["rates"] == {"C": 1e-3, "M": 1e-3, "R": 1e-3}
    other = small(rates=(2e-3,))
    with pytest.raises(UsageError):
        other.run(other.cells, tmp_path / "work", workers=1)
