"""SIGKILL at seeded moments of every stage and of training; what is run again must give the same bytes."""

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.manifest import load_manifest
from pipelines.stages import STAGES
from tests.e2e.commands import bytes_of, command, run, sets

HOOK = Path(__file__).parent / "hook"
# Far beyond what a busy machine needs to come to a moment.
LIMIT = 1800.0
PLACES = ("before any shard", "some shards", "all shards, no manifest")
TRAINING = {
    "kmlm": ("--max-steps", "60", *sets("records_per_step=16", "model.hidden=32")),
    "trelm": ("--max-steps", "30", *sets("records_per_step=16", "model.hidden=32", "trelm.reroute_every=8")),
    "jaket": ("--max-steps", "30", *sets("records_per_step=16", "model.hidden=32")),
    "transe": ("--max-steps", "60", *sets("records_per_step=16")),
}


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


def stage_moment(seed: int, stage: str, entry: dict[str, Any], *, seconds: float) -> Moment:
    """A moment of a stage.

    Of every four seeds one is between the last file and the manifest, one at a file that is put in its place,
    one soon after such a file, one at a time drawn from the stage's begin on.

    Args:
        entry: the stage's table in a manifest.
        seconds: what the stage takes.
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
        return Moment(rf"os.rename .*{shards}\w+/{name}$", delay=draw.uniform() * seconds / 4)
    # A stage begins by removing the scratch that a former run may have left.
    return Moment(rf"os.remove \S*scratch/{stage} ", delay=draw.uniform() * seconds)


def torture_build(out: Path, reference: Path, *, seeds: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Kill one build in every one of its stages, end it, compare; yields (stage, where the kill fell).

    Args:
        seeds: of the moments; the stages take them in turn.

    Raises:
        AssertionError: the build failed, its bytes differ, or a moment never came.
    """
    entries = json.loads((reference / "manifest.json").read_text())["tables"]
    took = {
        stage["stage"]: stage["seconds"]
        for stage in json.loads((reference / "run.json").read_text())["stages"]
    }
    # The first stage's time holds the start of Spark.
    stages = [stage for stage in STAGES if stage.table in entries]
    took[stages[0].table] = took[stages[1].table]
    local = sets("spark.master=local[2]", "spark.partitions=2")
    for i, stage in enumerate(stages):
        targets = [earlier.table for earlier in stages[: i + 1]]
        words = command("build-corpus", *targets, "--out", out, *local)
        entry = entries[stage.table]
        moment = stage_moment(seeds[i % len(seeds)], stage.table, entry, seconds=took[stage.table])
        while True:
            killed = kill_at(words, moment, out.parent / "mark")
            place = _place(out, stage.table, len(entry["files"]))
            if killed and place:
                break
            # The kill came too late: as if the stage had not been built.
            assert moment.delay is not None, f"{moment} never came"
            assert moment.delay > 0.01, f"{moment} always comes too late"
            manifest = load_manifest(out)
            del manifest.tables[stage.table]
            manifest.save(out)
            shutil.rmtree(out / "tables" / stage.table)
            moment = replace(moment, delay=moment.delay / 2)
        yield stage.table, place
    done = run("build-corpus", "--out", out, *local)
    assert done.returncode == 0, done.stderr
    assert bytes_of(out) == bytes_of(reference)


def _place(out: Path, stage: str, shards: int) -> str | None:
    """Where the stage stands; None if the manifest names it."""
    if stage in load_manifest(out).tables:
        return None
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


def torture_training(objective: str, folder: Path, corpus: Path, *, kills: int) -> dict[int, int]:
    """Kill runs again and again, end them, compare with one that was left alone.

    A run that has its model is followed by the next: only what is at work can be killed.

    Returns:
        Steps done -> kills that fell there.

    Raises:
        AssertionError: a run failed, its losses or bytes differ, or the moments do not come.
    """
    fell: Counter[int] = Counter()
    runs = [folder / f"{objective}-killed-0"]

    def words(out: Path) -> list[str | Path]:
        chosen = [*TRAINING[objective], *sets("checkpoint_every=3")]
        return ["train", objective, *chosen, "--corpus", corpus, "--out", out]

    for seed in range(3 * kills):
        if fell.total() == kills:
            break
        if (runs[-1] / "model").exists():
            runs.append(folder / f"{objective}-killed-{len(runs)}")
        if kill_at(command(*words(runs[-1])), training_moment(seed), folder / f"{objective}-mark"):
            fell[len(_losses(runs[-1]))] += 1
    assert fell.total() == kills, "the moments do not come"
    left_alone = folder / f"{objective}-left-alone"
    for out in [*runs, left_alone]:
        done = run(*words(out))
        assert done.returncode == 0, done.stderr
        assert _losses(out), f"{out} has no losses"
    for out in runs:
        assert _losses(out) == _losses(left_alone)
        assert _trained(out) == _trained(left_alone)
    return dict(sorted(fell.items()))


def _losses(out: Path) -> list[tuple[int, float]]:
    path = out / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(line["step"], line["loss"]) for line in map(json.loads, lines) if "loss" in line]


def _trained(out: Path) -> dict[str, bytes]:
    """The model, the tensors of the checkpoints and the routes."""
    kept = [
        *(out / "model").iterdir(),
        *out.glob("checkpoints/step-*/*.safetensors"),
        *out.glob("routes.jsonl"),
    ]
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}
