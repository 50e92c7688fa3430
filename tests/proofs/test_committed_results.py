"""The committed results are what the committed cells give: the comparisons, the tables and the plans."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from proofs import jaket, jaket_report, kmlm, report, trelm, trelm_report

RESULTS = Path(report.__file__).parent / "results"


def committed(name):
    found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found, (RESULTS / f"{name}.md").read_text(encoding="utf-8")


def check_page(page, rendered):
    """The page is the rendered one; it may have a remark, a paragraph that was added later."""
    paragraphs, remark = rendered.strip().split("\n\n"), page.strip().split("\n\n")
    for paragraph in paragraphs:
        remark.remove(paragraph)
    assert len(remark) <= 1
    assert [one for one in page.strip().split("\n\n") if one not in remark] == paragraphs


def as_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize(("name", "plan", "of"), [("kmlm", kmlm, report), ("jaket", jaket, jaket_report)])
def test_the_cells_give_the_committed_result(name, plan, of):
    found, text = committed(name)
    result = of.result(found["cells"])
    assert as_json(result) == {key: found[key] for key in result}
    check_page(text, of.tables(result, found["cells"]))
    assert found["plan"] == as_json(asdict(plan.Plan()))
    names = [(cell["arm"], cell["lr"], cell["seed"]) for cell in found["cells"]]
    assert names == [(cell.arm, cell.lr, cell.seed) for cell in plan.Plan().cells]


@pytest.mark.parametrize(
    ("name", "plan", "primary", "title"),
    [
        ("trelm", trelm.Plan(), trelm_report.PRIMARY, trelm_report.TITLE),
        (
            "trelm-remedies",
            trelm.REMEDIES_PLAN,
            trelm_report.REMEDIES_PRIMARY,
            trelm_report.REMEDIES_TITLE,
        ),
    ],
)
def test_the_cells_give_the_committed_result_of_trelm(name, plan, primary, title):
    found, text = committed(name)
    sweep, compared = found["sweep"], found["compared"]
    result = trelm_report.result(compared, primary)
    assert as_json(result) == {key: found[key] for key in result}
    check_page(text, trelm_report.tables(result, sweep, compared, title=title))
    assert found["plan"] == as_json(asdict(plan))
    rates = trelm_report.best_rates(sweep)
    for cells, planned in ((sweep, plan.sweep), (compared, plan.compared(rates))):
        names = [(cell["arm"], cell["corpus"], cell["lr"], cell["seed"]) for cell in cells]
        assert names == [(cell.arm, cell.corpus, cell.lr, cell.seed) for cell in planned]
