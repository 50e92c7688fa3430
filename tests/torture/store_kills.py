"""Kills and faults of a build in an object store, each at one exact request; then the build is ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Response

from kgcorpus.contracts.draws import Draw
from tests.stores import BUCKET, Seen, StoreServer

ROOT = Path(__file__).parents[2]
TARGETS = ("relations", "reasoning")
SECONDS = 60.0
WRITES = ("PUT", "POST", "DELETE")


@dataclass
class Outcome:
    """How a builder ended: its exit code, or minus the signal; and its error."""

    code: int
    error: str


class Builder:
    """A process that forks builders (`tests.torture.store_builder`)."""

    def __init__(self, reference: Path) -> None:
        self._reference = reference
        self.pid = 0
        words = [sys.executable, "-m", "tests.torture.store_builder"]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
        )

    def run(
        self,
        url: str,
        home: Path,
        *,
        targets: Sequence[str] = TARGETS,
        seconds: float = SECONDS,
        clock: float = 0.0,
        lock: bool = True,
    ) -> Outcome:
        """Run a build to its end; `pid` is set meanwhile.

        Args:
            seconds: the lease's term.
            clock: seconds by which the machine's clock is ahead.
            lock: whether the build holds a lease.
        """
        (home / "error").unlink(missing_ok=True)
        order = {
            "reference": str(self._reference),
            "url": url,
            "home": str(home),
            "targets": list(targets),
            "seconds": seconds,
            "clock": clock,
            "lock": lock,
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self.pid = self._answer()["pid"]
        status = self._answer()["status"]
        self.pid = 0
        error = home / "error"
        return Outcome(os.waitstatus_to_exitcode(status), error.read_text() if error.exists() else "")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        return dict(json.loads(self._process.stdout.readline()))


@contextmanager
def builders(reference: Path, n: int = 1) -> Iterator[list[Builder]]:
    """Run processes that fork builders."""
    made = [Builder(reference) for _ in range(n)]
    try:
        yield made
    finally:
        for builder in made:
            builder.close()


def count_writes(store: StoreServer, builder: Builder, folder: Path) -> int:
    """The writing requests of a whole build."""
    store.seen.clear()
    done = builder.run(f"{store.url}/counted", folder / "counted")
    assert done.code == 0, done.error
    return sum(seen.method in WRITES for seen in store.seen)


@contextmanager
def killed_at(store: StoreServer, builder: Builder, number: int, *, after: bool) -> Iterator[list[Seen]]:
    """Kill the builder at its write of this number, before or after the server has done it.

    Yields:
        The request at which it was killed, once it was.
    """
    fell: list[Seen] = []
    count = 0

    def kill(seen: Seen) -> Response | None:
        nonlocal count
        if seen.method in WRITES and not fell:
            count += 1
            if count == number:
                fell.append(seen)
                os.kill(builder.pid, signal.SIGKILL)
                return Response(status=500)
        return None

    hooks: list[Any] = store.after if after else store.before
    hook: Any = (lambda seen, answer: kill(seen)) if after else kill
    hooks.append(hook)
    try:
        yield fell
    finally:
        hooks.remove(hook)


def torture_store(store: StoreServer, builder: Builder, folder: Path, *, seed: int, writes: int) -> str:
    """Kill a build up to three times, end it on the same machine, compare; returns where the kills fell.

    Raises:
        AssertionError: the build failed, or what it left differs from the reference.
    """
    draw = Draw(seed, "store-kill")
    url, home, fell = f"{store.url}/killed-{seed}", folder / str(seed), []
    for _ in range(1 + draw.below(3)):
        number, after = 1 + draw.below(writes), bool(draw.below(2))
        with killed_at(store, builder, number, after=after) as at:
            done = builder.run(url, home)
        if at:
            assert done.code == -signal.SIGKILL, done
            fell.append(f"{'after' if after else 'before'} {at[0].method} {at[0].key}")
    done = builder.run(url, home)
    assert done.code == 0, done.error
    return "; ".join(fell)


def require_same(store: StoreServer, name: str, reference: Path, targets: Sequence[str] = TARGETS) -> None:
    """Compare a store's build with a local one: entries, immutable keys and data/, byte by byte.

    Raises:
        AssertionError: they differ.
    """
    objects = contents(store, name)
    manifest = json.loads(objects["manifest.json"])
    local = json.loads((reference / "manifest.json").read_text())
    assert not manifest.get("pending")
    assert set(targets) <= manifest["tables"].keys()
    assert manifest["tables"] == {table: local["tables"][table] for table in manifest["tables"]}
    for table, entry in manifest["tables"].items():
        for file in entry["files"]:
            shard = f"tables/{table}/{entry['fingerprint'][:12]}/{file['path'].rpartition('/')[2]}"
            for key in {shard, file["path"]}:
                assert sha256(objects[key]).hexdigest() == file["sha256"], key
    assert ".lock" not in objects


def contents(store: StoreServer, name: str) -> dict[str, bytes]:
    """Key -> bytes of all objects below a folder of the bucket."""
    client = store.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{name}/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return {
        key.removeprefix(f"{name}/"): client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys
    }


def run_at_once(pairs: Sequence[tuple[Builder, str, Path]], *, seconds: float) -> list[Outcome]:
    """Run builders at the same time."""
    outcomes: list[Outcome | None] = [None] * len(pairs)

    def one(place: int) -> None:
        builder, url, home = pairs[place]
        outcomes[place] = builder.run(url, home, seconds=seconds)

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for outcome in outcomes if outcome is not None]


def forget(folder: Path) -> None:
    """Remove what builders left on the machine."""
    shutil.rmtree(folder, ignore_errors=True)
