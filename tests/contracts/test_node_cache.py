"""A machine's copies of folders: fetched once, bounded, and made again if they are damaged."""

import errno
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgcorpus.contracts import node_cache
from kgcorpus.contracts.caches import work_folder
from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.node_cache import LIMIT, Reserve, cached, held_folder, make_room
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.store_folders import fetched_folder, open_kept, send_folder
from tests.stores import BUCKET, StoreServer, running_store

MIB = 1 << 20
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with running_store() as running:
        yield running


def filled(url: str, size: int = MIB, calls: list[str] | None = None) -> Path:
    """Use an entry with one file of this size."""

    def fetch(folder: Path, reserve: Reserve) -> None:
        reserve(size)
        (folder / "a").write_bytes(b"a" * size)
        if calls is not None:
            calls.append(url)

    with cached(url, fetch) as folder:
        assert (folder / "a").stat().st_size == size
        return folder


def test_an_entry_is_fetched_once_and_again_after_damage() -> None:
    calls: list[str] = []
    folder = filled("s3://b/x", calls=calls)
    assert filled("s3://b/x", calls=calls) == folder
    assert calls == ["s3://b/x"]
    # The length and the modification time stay.
    before = (folder / "a").stat()
    (folder / "a").write_bytes(b"b" * MIB)
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (filled("s3://b/x", calls=calls) / "a").read_bytes()[:1] == b"a"
    (folder / "a").unlink()
    filled("s3://b/x", calls=calls)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("s3://b/x", "AWS_ENDPOINT_URL"),
        ("s3://b/x", "AWS_ENDPOINT_URL_S3"),
        ("gs://b/x", "GOOGLE_BASE_URL"),
        ("abfs://b/x", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("abfss://b/x", "AZURE_STORAGE_ENDPOINT"),
    ],
)
def test_one_url_at_two_servers_has_two_folders(
    monkeypatch: pytest.MonkeyPatch, url: str, variable: str
) -> None:
    calls: list[str] = []
    folders, works = set(), set()
    for value in ("http://one:1", "http://two:2", "http://one:1"):
        monkeypatch.setenv(variable, value)
        folders.add(filled(url, calls=calls))
        works.add(work_folder(url))
    assert (len(folders), len(works), len(calls)) == (2, 2, 2)
    # Of another store.
    monkeypatch.setenv(
        "AWS_ENDPOINT_URL" if not url.startswith("s3") else "GOOGLE_BASE_URL", "http://three:3"
    )
    assert work_folder(url) in works


def test_the_least_recently_used_entry_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, str(3.5 / 1024))
    folders = {}
    for name in ("a", "b", "c"):
        folders[name] = filled(name)
        time.sleep(0.01)
    filled("a")
    filled("d")
    assert [name for name in folders if folders[name].exists()] == ["a", "c"]
    assert node_cache.size_of(folders["a"].parents[1]) < 3.5 * MIB


def test_an_entry_in_use_stays_and_the_bound_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, str(2.5 / 1024))
    monkeypatch.setattr(node_cache, "_PATIENCE_SECONDS", 0.1)
    held = held_folder("held")
    make_room(held, 2 * MIB)
    (held / "copy").write_bytes(b"a" * 2 * MIB)
    with pytest.raises(EnvironmentLacksError, match=r"1\.0 MiB are needed; other processes use 2\.0 of"):
        filled("other")
    assert (held / "copy").exists()
    with pytest.raises(EnvironmentLacksError, match="more than the bound"):
        filled("larger", 3 * MIB)


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf"])
def test_a_bound_that_is_no_positive_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(LIMIT, value)
    with pytest.raises(UsageError, match="must be a positive number of GiB"):
        filled("x")


def _fetch_slowly(log: str, seconds: float) -> None:
    def fetch(folder: Path, reserve: Reserve) -> None:
        with open(log, "a", encoding="ascii") as stream:
            stream.write("fetched\n")
        (folder / "half").write_bytes(b"a")
        time.sleep(seconds)
        (folder / "a").write_bytes(b"a")

    with cached("s3://b/slow", fetch) as folder:
        assert {path.name for path in folder.iterdir()} == {"half", "a", "digests.json"}


def test_processes_that_need_an_entry_at_once_fetch_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [FORK.Process(target=_fetch_slowly, args=(str(log), 0.3)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text() == "fetched\n"


def test_a_killed_fetch_is_repeated_by_the_process_that_waits(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = FORK.Process(target=_fetch_slowly, args=(str(log), 60.0))
    first.start()
    while not log.exists():
        time.sleep(0.01)
    second = FORK.Process(target=_fetch_slowly, args=(str(log), 0.0))
    second.start()
    time.sleep(0.1)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    second.join()
    first.join()
    assert second.exitcode == 0
    assert log.read_text() == "fetched\n" * 2


def test_a_full_disk_drops_what_nobody_uses_and_is_told() -> None:
    old = filled("old")
    tries: list[int] = []

    def fetch(folder: Path, reserve: Reserve) -> None:
        tries.append(1)
        if old.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (folder / "a").write_bytes(b"a")

    with cached("new", fetch) as folder:
        assert (folder / "a").exists()
    assert (len(tries), old.exists()) == (2, False)

    def fail(folder: Path, reserve: Reserve) -> None:
        (folder / "half").write_bytes(b"a")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(EnvironmentLacksError, match="the disk is full") as error, cached("full", fail):
        pass
    assert "/cache/" in error.value.where
    assert not list(folder.parents[1].rglob("half"))


def test_a_folder_is_sent_once_and_fetched_with_its_hashes(server: StoreServer, tmp_path: Path) -> None:
    store, source = ObjectStore(f"{server.url}/folders"), tmp_path / "source"
    (source / "lang=en").mkdir(parents=True)
    (source / "lang=en" / "a.npy").write_bytes(b"1" * 1000)
    (source / "_ids.arrow").write_bytes(b"2")
    send_folder(store, "cache/x", source)
    server.seen.clear()
    send_folder(store, "cache/x", source)
    assert [seen.method for seen in server.seen] == ["GET"]
    with fetched_folder(store, "cache/x") as folder:
        assert (folder / "lang=en" / "a.npy").read_bytes() == b"1" * 1000
        assert (folder / "_ids.arrow").read_bytes() == b"2"
    server.seen.clear()
    with fetched_folder(store, "cache/x"):
        pass
    assert not server.seen
    # Other bytes under the same name are other objects.
    (source / "_ids.arrow").write_bytes(b"3")
    before = set(store.list("cache/x"))
    send_folder(store, "cache/x", source)
    assert len(set(store.list("cache/x")) - before) == 1


def test_a_damaged_object_and_a_missing_folder_are_told(server: StoreServer, tmp_path: Path) -> None:
    store, source = ObjectStore(f"{server.url}/damaged"), tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"1" * 1000)
    send_folder(store, "cache/x", source)
    key = next(key for key in store.list("cache/x") if not key.endswith("index.json"))
    server.client().put_object(Bucket=BUCKET, Key=f"damaged/{key}", Body=b"2" * 1000)
    with pytest.raises(InputError, match="not those that its index names"), fetched_folder(store, "cache/x"):
        pass
    with pytest.raises(InputError, match="no such object"), fetched_folder(store, "cache/y"):
        pass

    def make(folder: Path) -> None:
        (folder / "a").write_bytes(b"made")

    def opened(folder: Path) -> bytes:
        return (folder / "a").read_bytes()

    assert open_kept(store, "cache/y", opened=opened, make=make) == b"made"


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "digests.json", ""])
def test_an_index_that_names_a_file_elsewhere_is_refused(server: StoreServer, name: str) -> None:
    store = ObjectStore(f"{server.url}/evil-{abs(hash(name))}")
    store.put("x/index.json", f'{{"{name}": ["{"0" * 64}", 1]}}'.encode())
    with pytest.raises(InputError, match="is no index"), fetched_folder(store, "x"):
        pass
