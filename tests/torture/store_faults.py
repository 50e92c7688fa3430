"""Faults of an object store: refusals, answers that are lost or cut, by seed or at chosen requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from werkzeug.wrappers import Response

from kgcorpus.contracts.draws import Draw
from tests.stores import Seen, StoreServer

Chosen = Callable[[Seen], bool]


@dataclass
class Injected:
    """The faults up to now, e.g. `lost PUT manifest.json`."""

    faults: list[str] = field(default_factory=list)


def busy() -> Response:
    """A refusal that asks to try again at once."""
    body = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
    return Response(body, status=503, headers={"Retry-After": "0"})


def forbidden() -> Response:
    """A refusal for good."""
    return Response("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", status=403)


def lost() -> Response:
    """What a client sees of a write that was done: nothing useful."""
    return Response("<Error><Code>InternalError</Code><Message>lost</Message></Error>", status=500)


def cut(answer: Response) -> Response:
    """An answer whose connection ends after half of its bytes."""
    content = answer.get_data()
    half = Response(content[: len(content) // 2], status=answer.status_code)
    half.automatically_set_content_length = False
    for name, value in answer.headers:
        if name.lower() not in ("content-length", "connection"):
            half.headers[name] = value
    half.headers["Content-Length"] = str(len(content))
    return half


@contextmanager
def faults(store: StoreServer, *, seed: int, share: float) -> Iterator[Injected]:
    """Inject a fault into a share of all requests: a third each is refused, lost after it was done, or cut.

    A request that is repeated is another request: no fault lasts.
    """
    draw, injected = Draw(seed, "store-faults"), Injected()

    def before(seen: Seen) -> Response | None:
        if draw.uniform() < share / 3:
            injected.faults.append(f"busy {seen.method} {seen.key}")
            return busy()
        return None

    def after(seen: Seen, answer: Response) -> Response | None:
        drawn = draw.uniform()
        if drawn < share / 3 and seen.method in ("PUT", "POST", "DELETE"):
            injected.faults.append(f"lost {seen.method} {seen.key}")
            return lost()
        if share / 3 <= drawn < 2 * share / 3 and seen.method == "GET" and len(answer.get_data()) > 1:
            injected.faults.append(f"cut {seen.method} {seen.key}")
            return cut(answer)
        return None

    store.before.append(before)
    store.after.append(after)
    try:
        yield injected
    finally:
        store.before.remove(before)
        store.after.remove(after)


@contextmanager
def refusing(store: StoreServer, chosen: Chosen, answer: Callable[[], Response]) -> Iterator[None]:
    """Answer the chosen requests instead of the server."""

    def refuse(seen: Seen) -> Response | None:
        return answer() if chosen(seen) else None

    store.before.append(refuse)
    try:
        yield
    finally:
        store.before.remove(refuse)
