"""An S3 server on loopback, with writes of one key one after the other, and a proxy that injects faults."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import boto3  # type: ignore[import-untyped]
import fsspec
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Any]
# Another one than other tests have: the servers of a process share their objects.
BUCKET = "builds"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDWORDS", "AWS_SECRET_ACCESS_KEY": "no-such-secret-7d1f"}


@dataclass
class Seen:
    """A request as the server sees it."""

    method: str
    key: str
    environ: Environ


# Called before a request; returns a response to answer instead of the server, or None.
Fault = Callable[[Seen], Response | None]
# Called after the server's work; returns a response to send instead of its answer, or None.
AnswerFault = Callable[[Seen, Response], Response | None]


@dataclass
class StoreServer:
    """The running server.

    Attributes:
        url: of the bucket.
        endpoint: of the server.
        before, after: faults, tried in their order.
        seen: all requests up to now.
    """

    url: str
    endpoint: str
    before: list[Fault] = field(default_factory=list)
    after: list[AnswerFault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def client(self) -> Any:
        """A client of the test, which no fault reaches by its key."""
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")

    def empty(self) -> None:
        """Delete all objects, and forget the requests."""
        self.seen.clear()
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for found in page.get("Contents", ()):
                client.delete_object(Bucket=BUCKET, Key=found["Key"])


class _Serial:
    """moto checks a condition and then writes, in two steps: one lock a key makes them one."""

    def __init__(self, application: Application, server: StoreServer) -> None:
        self._application, self._server = application, server
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def __call__(self, environ: Environ, start: Any) -> Any:
        key = environ["PATH_INFO"].removeprefix(f"/{BUCKET}").removeprefix("/")
        seen = Seen(environ["REQUEST_METHOD"], key, environ)
        with self._guard:
            lock = self._locks.setdefault(seen.key, threading.Lock())
        # The body is read first, so that a lock is not held while a client sends.
        content = Request(environ).get_data()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(content), str(len(content))
        with lock:
            self._server.seen.append(seen)
            for fault in list(self._server.before):
                if (answer := fault(seen)) is not None:
                    return answer(environ, start)
            answer = Response.from_app(self._application, environ, buffered=True)
            for change in list(self._server.after):
                if (other := change(seen, answer)) is not None:
                    return other(environ, start)
        return answer(environ, start)


def _forget_clients() -> None:
    """fsspec keeps clients, and with them the address of a former server."""
    with suppress(ImportError):
        fsspec.get_filesystem_class("s3").clear_instance_cache()


def _empty_bucket(client: Any) -> None:
    """Make the bucket, without the objects of a server that this process had before."""
    client.create_bucket(Bucket=BUCKET)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for found in page.get("Contents", ()):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])


@contextmanager
def running_store() -> Iterator[StoreServer]:
    """Run a server with an empty bucket; the environment leads this process and its children to it."""
    store = StoreServer(f"s3://{BUCKET}", "")
    application = _Serial(DomainDispatcherApplication(create_backend_app), store)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.endpoint = f"http://127.0.0.1:{server.port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **KEYS,
            "AWS_ENDPOINT_URL": store.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        _empty_bucket(store.client())
        _forget_clients()
        yield store
    _forget_clients()
    server.shutdown()
    thread.join()
