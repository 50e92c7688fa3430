"""What a build says of tables that it has not come to."""

import pytest

from kgcorpus.contracts.manifest import Manifest, TableEntry
from pipelines.plan import Step
from pipelines.runner import _pending

STEPS = [
    Step("triples", "skip", "up to date"),
    Step("cycles", "run", "its inputs changed"),
    Step("xlr", "n/a", "not configured: xlr"),
    Step("pages", "n/a", "not configured: wikipedia.dump"),
]


@pytest.mark.parametrize(
    ("before", "complete", "expected"),
    [
        ((), True, {"cycles", "xlr"}),
        (("triples", "trelm"), True, {"cycles", "xlr"}),
        ((), False, {"cycles"}),
        (("triples", "trelm", "xlr"), False, {"cycles", "trelm", "xlr"}),
    ],
)
def test_a_build_of_all_looks_at_every_table_and_one_of_targets_at_its_own(
    before, complete, expected
) -> None:
    tables = {"xlr": TableEntry("xlr", "", "", 0, {}, {}, ())}
    manifest = Manifest(tables, pending=frozenset(before))
    assert _pending(manifest, STEPS, complete=complete) == expected
