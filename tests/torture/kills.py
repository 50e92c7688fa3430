"""SIGKILL at seeded moments of every stage and of training; what is run again must give the same bytes."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from kgcorpus.contracts.draws import Draw
from pipelines.stages import STAGES
from tests.e2e.commands import bytes_of, command, run, sets

HOOK = Path(__file__).parent / "hook"
# Far beyond what a busy machine needs to come to a moment.
LIMIT = 1800.0
PLACES = ("before any shard", "some shards", "all shards, no manifest", "manifest written", "ended before")
TRAINING = (
    "kmlm",
    "--max-steps",
    "60",
    *sets("checkpoint_every=3", "records_per_step=16", "model.hidden=32"),
)


@dataclass(frozen=True)
class Moment:
    """When to kill: `delay` seconds after an event; at the event itself if it is to be held.

    Attributes:
        at: regular expression of `<event> <path> <path>`.
        after: one that must have come before, in the same process.
        skip: how many events that match `at` pass before.
        delay: seconds; None holds the process at the event.
    """

    at: str
    after: str = ""
    skip: int = 0
    delay: float | None = None


def kill_at(words: list[str], moment: Moment, mark: Path) -> bool:
    """Run a command and kill it with all its processes; False if it ended before."""
    mark.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HOOK), os.environ.get("PYTHONPATH", "")]),
        "TORTURE_AT": moment.at,
        "TORTURE_AFTER": moment.after,
        "TORTURE_SKIP": str(moment.skip),
        "TORTURE_HOLD": "" if moment.delay is not None else "1",
        "TORTURE_MARK": str(mark),
    }
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        end = time.monotonic() + LIMIT
        while process.poll() is None and not mark.exists() and time.monotonic() < end:
            time.sleep(0.005)
        if mark.exists() and moment.delay:
            time.sleep(moment.delay)
        alive = process.poll() is None
        kill_tree(process.pid)
    if not mark.exists() and alive:
        raise TimeoutError(f"{moment.at} never came")
    return alive


def kill_tree(pid: int) -> None:
    """SIGKILL to a process and all that it started, at once."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family[1:], timeout=10)


def stage_moment(seed: int, stage: str, entry: dict, *, longest: float) -> Moment:
    """A moment of a stage.

    Of every four seeds one is between the last file and the manifest, one at a file that is put in its place,
    one soon after such a file, one at a time drawn from the stage's begin on.

    Args:
        entry: the stage's table in a manifest.
        longest: seconds that no stage passes.
    """
    draw = Draw(seed, "kill", stage)
    names = [file["path"].rsplit("/", 1)[-1] for file in entry["files"]]
    shards, published = f"tables/{stage}/", entry["files"][0]["path"].startswith("data/")
    if seed % 4 == 0:
        ends = [
            Moment(rf"open \S*{shards}\S*/{names[-1]}"),
            Moment(r"os.rename .*/manifest\.json$", after=rf"open \S*{shards}"),
            Moment(r"open \S*/\.manifest\.json", after=rf"open \S*{shards}"),
        ]
        if published:
            ends += [Moment(rf"os.rename .*data/{stage}/{draw.choice(names)}$")] * 2
        return draw.choice(ends)
    name = draw.choice(names)
    if seed % 4 == 1:
        at_file = (rf"os.rename .*{shards}\w+/{name}$", rf"os.remove \S*{shards}\w+/\.{name}\.")
        return Moment(draw.choice(at_file))
    if seed % 4 == 3:
        return Moment(rf"os.rename .*{shards}\w+/{name}$", delay=draw.uniform() * longest / 4)
    return Moment(rf"shutil.rmtree \S*scratch/{stage} ", delay=draw.uniform() * longest)


def torture_build(out: Path, reference: Path, *, seed: int) -> Iterator[tuple[str, str]]:
    """Kill one build in every one of its stages, end it, compare; yields (stage, where the kill fell).

    Raises:
        AssertionError: the build failed, or its bytes differ.
    """
    entries = json.loads((reference / "manifest.json").read_text())["tables"]
    # The first stage's time holds the start of Spark.
    _, *later = json.loads((reference / "run.json").read_text())["stages"]
    longest = max(stage["seconds"] for stage in later)
    local = sets("spark.master=local[2]", "spark.partitions=2")
    for i, stage in enumerate(STAGES):
        targets = [earlier.table for earlier in STAGES[: i + 1]]
        words = command("build-corpus", *targets, "--out", out, *local)
        moment = stage_moment(seed, stage.table, entries[stage.table], longest=longest)
        killed = kill_at(words, moment, out.parent / "mark")
        yield (
            stage.table,
            _place(out, stage.table, len(entries[stage.table]["files"])) if killed else PLACES[-1],
        )
    done = run("build-corpus", "--out", out, *local)
    assert done.returncode == 0, done.stderr
    assert bytes_of(out) == bytes_of(reference)


def _place(out: Path, stage: str, shards: int) -> str:
    manifest = out / "manifest.json"
    if manifest.exists() and stage in json.loads(manifest.read_text())["tables"]:
        return "manifest written"
    there = len(list((out / "tables" / stage).glob("*/*.parquet")))
    return PLACES[0] if not there else PLACES[1] if there < shards else PLACES[2]


def training_moment(seed: int) -> Moment:
    """A moment of training: at a checkpoint's files, at the model, or between."""
    draw = Draw(seed, "kill", "training")
    choices: tuple[Callable[[], Moment], ...] = (
        lambda: Moment(r"os.rename .*/step-\d+$", skip=draw.below(2)),
        lambda: Moment(r"open \S*step-\S*/state\.json", skip=1 + draw.below(2)),
        lambda: Moment(r"os.rename \S*/step-\d+ ", skip=draw.below(2)),
        lambda: Moment(r"shutil.rmtree \S*\.step-\d+"),
        lambda: Moment(r"os.rename .*/metrics\.jsonl$"),
        lambda: Moment(r"os.rename .*/metrics\.jsonl$", delay=draw.uniform() * 3),
        lambda: Moment(r"os.rename .*/metrics\.jsonl$", delay=draw.uniform() * 3),
        lambda: Moment(r"os.rename \S*/\.model\S* \S*/model$"),
    )
    return choices[seed % len(choices)]()


def torture_training(folder: Path, corpus: Path, *, kills: int) -> Counter[str]:
    """Kill one run again and again, end it, compare with one that was left alone.

    Returns:
        How many kills fell at each number of steps done; `ended before`: those that came too late.

    Raises:
        AssertionError: a run failed, or its losses or bytes differ.
    """
    fell: Counter[str] = Counter()

    def words(name: str) -> list[str | Path]:
        return ["train", *TRAINING, "--corpus", corpus, "--out", folder / name]

    for seed in range(kills):
        killed = kill_at(command(*words("killed")), training_moment(seed), folder / "mark")
        steps = len(_losses(folder / "killed"))
        fell[f"{steps} steps" if killed else PLACES[-1]] += 1
    for name in ("killed", "left-alone"):
        done = run(*words(name))
        assert done.returncode == 0, done.stderr
    assert _losses(folder / "killed") == _losses(folder / "left-alone")
    assert _trained(folder / "killed") == _trained(folder / "left-alone")
    return fell


def _losses(out: Path) -> list[tuple[int, float]]:
    path = out / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(line["step"], line["loss"]) for line in map(json.loads, lines) if "loss" in line]


def _trained(out: Path) -> dict[str, bytes]:
    kept = [*(out / "model").iterdir(), *(out / "checkpoints").glob("step-*/*")]
    return {str(path.relative_to(out)): path.read_bytes() for path in kept if path.suffix == ".safetensors"}
