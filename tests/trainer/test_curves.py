"""`kgcorpus report --run` draws the metrics of runs."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kgcorpus.cli import app, run_app
from trainer.curves import curves_of


def run_folder(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    lines = [{"step": 1, "event": "reroute", "seconds": 2.0}]
    for step, loss in enumerate(losses, start=1):
        line = {"step": step, "loss": loss, "loss_plain": loss / 2, "lr": 0.1, "tokens_per_second": 9.0}
        lines.append(line | ({"valid_loss": loss + 1, "valid_accuracy_plain": 0.5} if step % 2 == 0 else {}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def report(*runs: Path) -> int:
    words = [word for run in runs for word in ("--run", str(run))]
    return run_app(lambda: app(["report", *words], standalone_mode=False))


def test_runs_are_drawn_side_by_side_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    one = run_folder(tmp_path / "one", [3.0, 2.0, 1.0, 0.5])
    other = run_folder(tmp_path / "costs $5 and $6", [3.0, 2.5])
    assert report(one, other) == 0
    pictures = [one / "curves.png", one / "curves.svg"]
    first = [path.read_bytes() for path in pictures]
    assert first[0].startswith(b"\x89PNG")
    svg = first[1].decode()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    # matplotlib writes each text beside its glyphs as a comment.
    for text in ("loss_plain", "accuracy_plain", "tokens_per_second", "one"):
        assert f"<!-- {text} -->" in svg
    assert report(one, other) == 0
    assert [path.read_bytes() for path in pictures] == first
    assert report(other) == 0
    assert (other / "curves.svg").read_bytes() != first[1]


def test_the_page_draws_a_line_for_each_run_and_escapes_their_names(tmp_path: Path) -> None:
    one = run_folder(tmp_path / "one", [3.0, 2.0, 1.0, 0.5])
    other = run_folder(tmp_path / "<img src=x onerror=alert(1)>", [3.0, 2.5])
    assert report(one, other) == 0
    page = (one / "report.html").read_text(encoding="utf-8")
    # loss: both runs and their validation; the losses' terms and so on as well.
    loss = page[page.index(">loss</div>") : page.index(">loss_plain</div>")]
    assert loss.count("<polyline") + loss.count("<circle") == 4
    assert "one, validation" in loss
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_validation_has_its_own_steps(tmp_path: Path) -> None:
    found = curves_of(run_folder(tmp_path / "run", [3.0, 2.0, 1.0, 0.5]))
    assert found["loss"] == ([1, 2, 3, 4], [3.0, 2.0, 1.0, 0.5])
    assert found["valid_loss"] == ([2, 4], [3.0, 1.5])
    assert "seconds" not in found


@pytest.mark.parametrize("content", [None, ""])
def test_a_folder_without_metrics_is_refused(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    assert report(tmp_path) == 3
    assert "has no metrics of a run" in " ".join(capsys.readouterr().err.split())
