"""`plan` names what changed since the last finished build."""

import json

import pytest

from tests.made import command, finished_build


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--set", "seed=7"], "seed changed from 0 to 7"),
        (["--set", "languages=[en, fr]"], "languages changed from ['en'] to ['en', 'fr']"),
        (["--set", "limits.record_mib=16"], "limits.record_mib changed from 32 to 16"),
    ],
)
def test_the_plan_names_the_parameter_that_changed(tmp_path, capsys, change, said):
    out, file = finished_build(tmp_path)
    capsys.readouterr()
    assert command("plan", "relations", "--out", out, "--config", file, "--json", *change) == 0
    assert [step["reason"] for step in json.loads(capsys.readouterr().out)] == [said]


def test_the_plan_names_the_input_that_changed(tmp_path, capsys):
    out, file = finished_build(tmp_path)
    (tmp_path / "relations.tsv").write_text("P1\ten\tchief town of\n")
    capsys.readouterr()
    assert command("plan", "relations", "--out", out, "--config", file, "--json") == 0
    reasons = [step["reason"] for step in json.loads(capsys.readouterr().out)]
    assert reasons == ["graph.relations changed (relations.tsv)"]
