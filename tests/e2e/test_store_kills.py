"""A build in an object store under kills, faults and rivals: it ends with the bytes of a local build.

The rows are copied from a finished build, all else is `pipelines.runner.build`; `make torture` does more.
"""

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from werkzeug.wrappers import Response

from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import row_groups_of
from kgcorpus.report.inspect import sample_rows
from pipelines.lookup import names_of, read_row_groups, read_shards
from tests.stores import KEYS, Seen, StoreServer, running_store
from tests.torture.store_faults import faults, forbidden, refusing
from tests.torture.store_kills import (
    Builder,
    builders,
    contents,
    count_writes,
    killed_at,
    require_same,
    run_at_once,
    torture_store,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def store() -> Iterator[StoreServer]:
    with running_store() as server:
        yield server


@pytest.fixture(scope="module")
def pair(store: StoreServer, built: Path) -> Iterator[list[Builder]]:
    with builders(built, 2) as made:
        yield made


@pytest.fixture(scope="module")
def writes(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path_factory: pytest.TempPathFactory
) -> int:
    n = count_writes(store, pair[0], tmp_path_factory.mktemp("counted"))
    require_same(store, "counted", built)
    return n


@pytest.mark.parametrize("seed", range(10))
def test_a_killed_build_ends_with_the_local_bytes(
    store: StoreServer, pair: list[Builder], built: Path, writes: int, tmp_path: Path, seed: int
) -> None:
    torture_store(store, pair[0], tmp_path, seed=seed, writes=writes)
    require_same(store, f"killed-{seed}", built)


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_the_manifest_is_resumed_by_another_machine(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path, after: bool
) -> None:
    url = f"{store.url}/other-machine-{after}"
    killed: list[Seen] = []

    def kill(seen: Seen) -> Response | None:
        if seen.key.endswith("manifest.json") and seen.method == "PUT" and not killed:
            killed.append(seen)
            os.kill(pair[0].pid, signal.SIGKILL)
            return Response(status=500)
        return None

    hooks = store.after if after else store.before
    hook = (lambda seen, answer: kill(seen)) if after else kill
    hooks.append(hook)
    assert pair[0].run(url, tmp_path / "first", seconds=4).code == -signal.SIGKILL
    hooks.remove(hook)
    # Its lease expires by the store's clock.
    done = pair[1].run(url, tmp_path / "second", seconds=4)
    assert done.code == 0, done.error
    require_same(store, f"other-machine-{after}", built)


@pytest.mark.parametrize("clock", [-600.0, 600.0])
def test_a_machine_with_a_wrong_clock_ends_a_killed_build(
    store: StoreServer, pair: list[Builder], built: Path, writes: int, tmp_path: Path, clock: float
) -> None:
    url = f"{store.url}/clock-{clock:.0f}"
    with killed_at(store, pair[0], writes // 2, after=True) as fell:
        pair[0].run(url, tmp_path / "first", seconds=8)
    assert fell
    done = pair[1].run(url, tmp_path / "second", clock=clock)
    assert done.code == 0, done.error
    require_same(store, f"clock-{clock:.0f}", built)


@pytest.mark.parametrize("seed", range(3))
def test_refusals_lost_answers_and_cuts_change_nothing(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path, seed: int
) -> None:
    with faults(store, seed=seed, share=0.15) as injected:
        done = pair[0].run(f"{store.url}/faults-{seed}", tmp_path)
    assert done.code == 0, done.error
    assert len(injected.faults) > 5
    require_same(store, f"faults-{seed}", built)


def test_of_two_builders_at_once_exactly_one_wins(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path
) -> None:
    for attempt in range(5):
        url = f"{store.url}/race-{attempt}"
        rivals = [(builder, url, tmp_path / f"{attempt}-{i}") for i, builder in enumerate(pair)]
        codes = sorted(outcome.code for outcome in run_at_once(rivals, seconds=6))
        # The loser is refused while the winner works; or it starts after the winner, and finds all done.
        assert codes in ([0, 9], [0, 0]), codes
        require_same(store, f"race-{attempt}", built)


def test_a_lost_lease_stops_the_build_before_it_commits(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path
) -> None:
    url = f"{store.url}/lost-lease"
    taken: list[str] = []

    def take(seen: Seen) -> Response | None:
        if "/tables/reasoning/" in seen.key and seen.method == "PUT" and not taken:
            rival = json.dumps({"token": "rival", "host": "elsewhere", "seconds": 1}).encode()
            taken.append(seen.key)
            # Another request of the test's own client, which waits for no lock of this key.
            threading.Thread(
                target=lambda: store.client().put_object(Bucket="builds", Key="lost-lease/.lock", Body=rival)
            ).start()
            time.sleep(1)
        return None

    store.before.append(take)
    done = pair[0].run(url, tmp_path / "first")
    store.before.remove(take)
    assert (done.code, taken) == (9, taken[:1])
    assert "the lock of this folder was lost: another build took it" in done.error
    assert "reasoning" not in json.loads(contents(store, "lost-lease")["manifest.json"])["tables"]
    done = pair[1].run(url, tmp_path / "second")
    assert done.code == 0, done.error
    require_same(store, "lost-lease", built)


def test_a_manifest_that_another_build_replaced_is_left_alone(
    store: StoreServer, pair: list[Builder], tmp_path: Path
) -> None:
    url, key = f"{store.url}/replaced", "replaced/manifest.json"
    others: list[bytes] = []

    def replace(seen: Seen) -> Response | None:
        if "/tables/reasoning/" in seen.key and seen.method == "PUT" and not others:
            found = json.loads(contents(store, "replaced")["manifest.json"])
            others.append(json.dumps({**found, "versions": {"other": "1"}}).encode())
            store.client().put_object(Bucket="builds", Key=key, Body=others[0])
        return None

    store.before.append(replace)
    done = pair[0].run(url, tmp_path)
    store.before.remove(replace)
    assert done.code == 9
    assert "another build has replaced the manifest" in done.error
    assert contents(store, "replaced")["manifest.json"] == others[0]


def test_no_permission_is_one_line_without_keys(
    store: StoreServer, pair: list[Builder], tmp_path: Path
) -> None:
    with refusing(store, lambda seen: seen.method == "PUT" and "/tables/" in seen.key, forbidden):
        done = pair[0].run(f"{store.url}/forbidden", tmp_path)
    assert done.code == 9
    assert done.error.startswith(f"{store.url}/forbidden/tables/")
    assert "the store refuses access (AccessDenied)" in done.error
    assert "\n" not in done.error
    shown = done.error + (tmp_path / "log").read_text()
    everything = [shown.encode(), *contents(store, "forbidden").values()]
    everything += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in KEYS.values():
        assert not any(secret.encode() in found for found in everything)


def test_a_deleted_shard_and_a_damaged_one_are_written_again(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path
) -> None:
    url = f"{store.url}/deleted"
    assert pair[0].run(url, tmp_path).code == 0
    shard, other = [key for key in contents(store, "deleted") if key.startswith("tables/xlr/")][:2]
    store.client().delete_object(Bucket="builds", Key=f"deleted/{shard}")
    store.client().put_object(Bucket="builds", Key=f"deleted/{other}", Body=b"cut")
    # Of a stage on a cluster that was killed; the store's clock has whole seconds.
    store.client().put_object(Bucket="builds", Key="deleted/scratch/titles/run/index.json", Body=b"{}")
    time.sleep(1.1)
    done = pair[0].run(url, tmp_path)
    assert done.code == 0, done.error
    require_same(store, "deleted", built)
    assert not [key for key in contents(store, "deleted") if key.startswith("scratch/")]


def test_a_build_whose_objects_were_deleted_is_made_again(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path
) -> None:
    """What is left on the machine is scratch, and stands in no build's way."""
    url = f"{store.url}/emptied"
    assert pair[0].run(url, tmp_path).code == 0
    for key in contents(store, "emptied"):
        store.client().delete_object(Bucket="builds", Key=f"emptied/{key}")
    with killed_at(store, pair[0], 9, after=False):
        pair[0].run(url, tmp_path)
    done = pair[0].run(url, tmp_path)
    assert done.code == 0, done.error
    require_same(store, "emptied", built)


def test_tasks_read_row_groups_and_names_of_a_store(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{store.url}/read"
    assert pair[0].run(url, tmp_path).code == 0
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    manifest = load_manifest(built)
    found = []
    for out in (url, str(built)):
        paths = manifest.files(out, "cycles")
        units = pa.record_batch({"path": paths, "group": pa.array([0] * len(paths), pa.int32())})
        entities = tuple(manifest.files(out, "entities"))
        names = names_of(entities, "qid")
        rows = [
            batch.to_pylist() for batch in read_row_groups(iter([units]), ["cycle_id", "triples"], rows=100)
        ]
        found.append((rows, names.label("Q64", "en"), row_groups_of(paths[0]), sample_rows(paths, 3)))
        assert read_shards(entities, ["qid"]).num_rows == manifest.tables["entities"].rows
    assert found[0] == found[1]
    assert found[0][1] is not None


def test_a_store_that_ignores_conditions_is_refused_unless_no_lock(
    store: StoreServer, pair: list[Builder], built: Path, tmp_path: Path
) -> None:
    def ignore(seen: Seen) -> None:
        seen.environ.pop("HTTP_IF_NONE_MATCH", None)
        seen.environ.pop("HTTP_IF_MATCH", None)

    store.before.append(ignore)
    done = pair[0].run(f"{store.url}/careless", tmp_path)
    assert done.code == 9
    assert "ignores the conditions of writes" in done.error
    assert "--no-lock" in done.error
    assert not contents(store, "careless")
    done = pair[0].run(f"{store.url}/careless", tmp_path, lock=False)
    store.before.remove(ignore)
    assert done.code == 0, done.error
    require_same(store, "careless", built)
