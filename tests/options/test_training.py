"""Every option of a training run acts: another value gives other losses, other weights or other files."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from kgcorpus.cli import app, run_app
from tests.options.fields import nested, options_of
from tests.options.training_cases import ACTS_ELSEWHERE, CASES, OF_OBJECTIVE, SHARED, Case
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import rows_of, write_corpus
from tests.trainer.trelm.world import triples_of, write_vectors, write_world
from trainer.config import TrainingConfig


def test_every_training_option_has_a_case_or_a_reason() -> None:
    assert sorted([*CASES, *ACTS_ELSEWHERE]) == sorted(options_of(TrainingConfig))


class Runs:
    """Runs of `kgcorpus train` on small corpora, by objective and settings; each is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        rows = rows_of(120)
        for i, row in enumerate(rows["plain_text"]):
            row["lang"] = "fr" if i % 8 == 0 else "en"
        world = write_world(folder / "world")
        self._corpora = {
            "kmlm": write_corpus(folder / "kmlm", rows),
            "jaket": write_corpus(folder / "jaket", jaket_rows(), row_group=20),
            "trelm": world,
            "transe": world,
        }
        held_out = folder / "held_out.txt"
        held_out.write_text("".join("\t".join(triple) + "\n" for triple in triples_of()[:9]))
        self._paths = {
            "vectors": write_vectors(folder / "vectors"),
            "other_vectors": write_vectors(folder / "other", seed=1),
            "held_out": held_out,
        }
        self.result = cache(self._result)

    def outcome(self, case: Case, option: str | None) -> dict[str, str]:
        """What a run leaves, with the case's other value for the option, or without."""
        values = {**SHARED, **OF_OBJECTIVE[case.objective], **case.given}
        if option is not None:
            values[option] = case.value
            if option == "epochs":
                values.pop("schedule_steps")
        if case.value == "{model}":
            first = self.run(case.objective, nested(SHARED), 1)
            self._paths["model"] = first / "model"
        text = json.dumps(nested(values))
        for name, path in self._paths.items():
            text = text.replace(f"{{{name}}}", str(path))
        return self.result(case.objective, text, case.steps)

    def run(self, objective: str, settings: dict[str, object], steps: int | None) -> Path:
        """The folder of a new run."""
        out = self._folder / f"run-{len(list(self._folder.glob('run-*')))}"
        config = self._folder / "config.yaml"
        config.write_text(yaml.safe_dump(settings))
        words = ["train", objective, "--corpus", self._corpora[objective], "--out", out, "--config", config]
        words += ["--max-steps", steps] if steps else []
        assert run_app(lambda: app([*map(str, words)], standalone_mode=False)) == 0
        return out

    def _result(self, objective: str, settings: str, steps: int | None) -> dict[str, str]:
        out = self.run(objective, json.loads(settings), steps)
        lines = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
        kinds = ("loss", "valid_loss")
        losses = [{name: value for name, value in line.items() if name.startswith(kinds)} for line in lines]
        weights = [*(out / "model").rglob("*.safetensors"), *(out / "model").rglob("*.npy")]
        assert weights
        files = sorted(re.sub(r"events\..*", "events", str(p.relative_to(out))) for p in out.rglob("*"))
        return {
            "losses": json.dumps(losses),
            "weights": hashlib.sha256(b"".join(p.read_bytes() for p in sorted(weights))).hexdigest(),
            "files": json.dumps(files),
        }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.mark.slow
@pytest.mark.parametrize("objective", OF_OBJECTIVE)
def test_the_same_settings_leave_the_same(runs: Runs, objective: str) -> None:
    case = Case(objective, None)
    first = runs.outcome(case, None)
    runs.result.cache_clear()
    assert runs.outcome(case, None) == first


@pytest.mark.slow
@pytest.mark.parametrize("option", CASES)
def test_another_value_of_the_option_shows(runs: Runs, option: str) -> None:
    case = CASES[option]
    assert runs.outcome(case, option) != runs.outcome(case, None)


@pytest.mark.slow
def test_lines_of_progress_follow_log_every(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="trainer.progress")
    for every, lines in ((1, 3), (3, 1)):
        caplog.clear()
        runs.run("kmlm", nested({**SHARED, "log_every": every}), 3)
        assert len([r for r in caplog.records if r.name == "trainer.progress"]) == lines
