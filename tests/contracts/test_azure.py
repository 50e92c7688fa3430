"""The same calls against Azure's emulator, where npm has installed it (`npm install -g azurite`)."""

import base64
import hashlib
import hmac
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.lease import Lease
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.secrets import redact

AZURITE = shutil.which("azurite-blob")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(AZURITE is None, reason="no Azure emulator: npm install -g azurite"),
]
# Of the emulator; known to everybody.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        str(AZURITE),
        "--blobPort",
        str(port),
        "--inMemoryPersistence",
        "--silent",
        "--skipApiVersionCheck",
    ]
    folder = tmp_path_factory.mktemp("azurite")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as server:
        try:
            _create("corpora", port)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
                patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
                patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
                patch.setenv("AZURE_STORAGE_ENDPOINT", f"http://127.0.0.1:{port}/{ACCOUNT}")
                patch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{port}")
                yield "abfs://corpora"
        finally:
            server.kill()


def _create(name: str, port: int) -> None:
    date, version = formatdate(usegmt=True), "2021-12-02"
    path = f"/{ACCOUNT}/{name}"
    signed = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}{path}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
        "Content-Length": "0",
    }
    for _ in range(100):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("PUT", f"{path}?restype=container", headers=headers)
            assert connection.getresponse().status == 201
            return
        except ConnectionError:
            time.sleep(0.2)
    raise TimeoutError("azurite does not start")


def test_blobs_are_created_once_replaced_by_version_and_copied(container: str) -> None:
    store = ObjectStore(f"{container}/objects")
    version = store.create("a", b"1")
    assert store.create("a", b"2") is None
    assert store.replace("a", b"3", version) is not None
    assert store.replace("a", b"4", version) is None
    store.put("folder/b", b"content", sha256="digest")
    assert store.digest_of("folder/b") == ("digest", 7)
    store.copy("folder/b", "folder/c")
    assert sorted(store.list("folder")) == ["folder/b", "folder/c"]
    store.delete(["a", "absent", "folder/b"])
    assert sorted(store.list()) == ["folder/c"]
    assert redact(f"key {KEY}") == "key ***"


def test_a_lease_keeps_a_second_holder_out(container: str, tmp_path: Path) -> None:
    store = ObjectStore(f"{container}/lease")
    for name in "ab":
        (tmp_path / name).mkdir()
    with Lease(store, home=tmp_path / "a", seconds=6).held() as first:
        rival = Lease(store, home=tmp_path / "b", seconds=6)
        with pytest.raises(UsageError, match="another build"), rival.held():
            pass
        first.require_held()
    assert not store.list()
