"""Tables and stages are registered once, under names of their own, after what they read."""

from dataclasses import replace

import pyarrow as pa
import pytest

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import TABLES, Table
from pipelines.stages import register_stage, stages, unregister_stage

OWN = Table(name="own", meaning="a row", columns={"id": (pa.string(), "unique")}, key=("id",))
STAGE = Stage(table="own", version=1, run=lambda context: None, inputs=("triples",))


@pytest.fixture(autouse=True)
def _own_unregistered():
    yield
    unregister_stage("own")


def test_a_registered_stage_follows_the_built_in_ones_and_can_be_removed() -> None:
    register_stage(STAGE, table=OWN)
    assert list(stages())[-1] == "own"
    assert TABLES["own"] is OWN
    unregister_stage("own")
    assert "own" not in stages()
    assert "own" not in TABLES


def test_a_stage_registered_again_replaces_the_former_one() -> None:
    register_stage(STAGE, table=OWN)
    register_stage(replace(STAGE, version=2), table=OWN)
    assert stages()["own"].version == 2


@pytest.mark.parametrize(
    ("stage", "table", "said"),
    [
        (replace(STAGE, table="pages"), None, "pages: there is a stage of this name already"),
        (replace(STAGE, table="pages"), replace(OWN, name="pages"), "there is a table of this name already"),
        (replace(STAGE, table="others"), OWN, "own: the stage makes others, not this table"),
        (replace(STAGE, table="nowhere"), None, "nowhere: no such table"),
        (replace(STAGE, inputs=("triples", "nowhere")), OWN, "own: the stage reads nowhere, which no stage"),
        (OWN, None, "is not a Stage"),
    ],
)
def test_a_stage_that_cannot_be_built_is_refused(stage: Stage, table: Table | None, said: str) -> None:
    before = (list(stages()), list(TABLES))
    with pytest.raises(UsageError, match=said):
        register_stage(stage, table=table)
    assert (list(stages()), list(TABLES)) == before


def test_a_built_in_stage_cannot_be_removed() -> None:
    unregister_stage("pages")
    assert "pages" in stages()
