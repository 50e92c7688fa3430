"""Objects with conditional writes, and the lease, against an S3 server on loopback."""

import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.lease import LEASE, Lease
from kgcorpus.contracts.object_store import ObjectStore, require_object_store
from kgcorpus.contracts.secrets import redact
from tests.stores import KEYS, Seen, StoreServer, running_store
from tests.torture.store_faults import busy, cut, lost

_SECONDS = 6.0


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with running_store() as running:
        yield running


@pytest.fixture
def store(server: StoreServer, request: pytest.FixtureRequest) -> ObjectStore:
    return ObjectStore(f"{server.url}/{abs(hash(request.node.name))}")


@pytest.mark.parametrize(
    "url",
    [
        "hdfs://node/a",
        "https://host/a",
        "s3://",
        "s3://key:secret@bucket/a",
        "s3://key@bucket/a",
        "gs://b/a?x=1",
    ],
)
def test_urls_without_conditional_writes_or_with_keys_are_refused(url: str) -> None:
    with pytest.raises(UsageError) as error:
        require_object_store(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["s3://b/a", "gs://b/a/", "abfss://container@account.dfs.core.windows.net/a"])
def test_urls_of_stores_are_accepted(url: str) -> None:
    assert require_object_store(url) == url.rstrip("/")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_the_server_is_the_one_of_the_environment_at_the_call(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store = ObjectStore(f"{server.url}/{name}")
    store.put("a", b"1")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(name, server.endpoint)
    assert store.get("a") is not None
    with running_store() as other:
        assert other.endpoint != server.endpoint
        if name == "AWS_ENDPOINT_URL_S3":
            # It has precedence, here as in the clients of AWS.
            monkeypatch.setenv(name, other.endpoint)
        before = len(server.seen)
        store.put("a", b"2")
        assert (len(other.seen) > 0, len(server.seen)) == (True, before)


def test_an_object_is_created_once_and_replaced_by_version_only(store: ObjectStore) -> None:
    version = store.create("a", b"1")
    assert store.create("a", b"2") is None
    newer = store.replace("a", b"3", version)
    assert newer != version
    assert store.replace("a", b"4", version) is None
    assert store.replace("absent", b"4", version) is None
    found = store.get("a")
    assert found is not None
    assert found[0] == b"3"


@pytest.mark.parametrize("answer", [lost, busy])
def test_a_write_whose_answer_was_lost_is_recognised(
    server: StoreServer, store: ObjectStore, answer: type[Response]
) -> None:
    """The client repeats it, and the store refuses the repetition: the object is there already."""
    answers: list[Seen] = []

    def lose(seen: Seen, _: Response) -> Response | None:
        if seen.method == "PUT" and len(answers) < 2:
            answers.append(seen)
            return answer()
        return None

    server.after.append(lose)
    try:
        version = store.create("a", b"mine")
        assert version is not None
        answers.clear()
        assert store.replace("a", b"newer", version) is not None
    finally:
        server.after.remove(lose)
    assert store.create("a", b"other") is None


def test_bytes_that_end_too_early_are_read_again(server: StoreServer, store: ObjectStore) -> None:
    content = bytes(range(256)) * 40_000
    store.put("large", content)
    cuts: list[Seen] = []

    def end_early(seen: Seen, answer: Response) -> Response | None:
        if seen.method == "GET" and len(cuts) < 2:
            cuts.append(seen)
            return cut(answer)
        return None

    server.after.append(end_early)
    try:
        with store.open("large") as stream:
            stream.seek(-1000, 2)
            assert stream.read() == content[-1000:]
        cuts.clear()
        found = store.get("large")
    finally:
        server.after.remove(end_early)
    assert found is not None
    assert found[0] == content


def test_a_missing_object_and_a_missing_bucket_are_named(store: ObjectStore, tmp_path: Path) -> None:
    assert store.get("absent") is None
    with pytest.raises(InputError, match="absent: no such object"):
        store.download("absent", tmp_path / "file")
    with pytest.raises(EnvironmentLacksError, match="NoSuchBucket") as error:
        ObjectStore("s3://nobody-has-it/a").put("x", b"1")
    assert "\n" not in str(error.value)


def test_a_pickled_store_and_what_is_shown_contain_no_key(store: ObjectStore) -> None:
    store.get("a")
    copy = pickle.dumps(store)
    for secret in KEYS.values():
        assert secret.encode() not in copy
        assert redact(f"failed with {secret} in it") == "failed with *** in it"
    assert pickle.loads(copy).url == store.url


@pytest.mark.slow
def test_a_second_holder_is_refused_once_the_first_renews(store: ObjectStore, tmp_path: Path) -> None:
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    with Lease(store, home=homes[0], seconds=_SECONDS).held() as first:
        with (
            pytest.raises(UsageError, match="another build"),
            Lease(store, home=homes[1], seconds=_SECONDS).held(),
        ):
            pass
        first.require_held()
    assert store.head(LEASE) is None


@pytest.mark.slow
def test_a_dead_owners_lease_is_taken_at_once_on_its_machine_and_after_its_term_elsewhere(
    store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    dead = Lease(store, home=tmp_path / "a", seconds=2)
    dead._acquire()
    began = time.monotonic()
    again = Lease(store, home=tmp_path / "a", seconds=2)
    again._acquire()
    assert time.monotonic() - began < 1.5
    with pytest.raises(EnvironmentLacksError, match="was lost"):
        dead.require_held()
    with Lease(store, home=tmp_path / "b", seconds=2).held():
        # Its term, and what the whole seconds of the store's clock may hide.
        assert time.monotonic() - began > 2
        with pytest.raises(EnvironmentLacksError, match="was lost"):
            again.require_held()


@pytest.mark.slow
def test_a_wrong_clock_changes_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Lease(store, home=tmp_path / "a", seconds=_SECONDS).held() as first:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 600)
        with (
            pytest.raises(UsageError, match="another build"),
            Lease(store, home=tmp_path / "b", seconds=_SECONDS).held(),
        ):
            pass
        first.require_held()


def test_of_many_at_once_exactly_one_gets_the_lease(store: ObjectStore, tmp_path: Path) -> None:
    for number in range(5):
        place = ObjectStore(f"{store.url}/{number}")
        start, won = threading.Barrier(4), []

        def acquire(home: Path, place: ObjectStore = place, start: threading.Barrier = start) -> None:
            home.mkdir(parents=True)
            lease = Lease(place, home=home, seconds=60)
            start.wait()
            if place.create(LEASE, lease._content()) is not None:
                won.append(lease)  # noqa: B023  joined below

        threads = [
            threading.Thread(target=acquire, args=(tmp_path / str(number) / str(i),)) for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
