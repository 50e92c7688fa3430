"""A lock in an object store. The lock is an object that its owner renews; without renewal it expires.

The age of a lease is the difference of two times that the store wrote. No machine's clock is compared with
another's, so a wrong clock does no harm. The owner counts the seconds since its last renewal by its monotonic
clock.
"""

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import EnvironmentLacksError, KgcorpusError, UsageError
from kgcorpus.contracts.object_store import Found, ObjectStore

LEASE = ".lock"
# Builds write objects below this key to learn the store's time, and whether it obeys conditions.
PROBES = ".probes"
SECONDS = 60.0
# In seconds: the store's clock has whole ones.
_SLACK = 2.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Lease:
    """The lease of one build; `held` acquires and renews it.

    Args:
        store: the folder of the build.
        home: a local folder that this process has locked. A lease that names the same folder of the same
            machine is taken over at once: its owner has ended, because the lock of the folder is free.
        seconds: a lease expires so long after its last renewal.
    """

    def __init__(self, store: ObjectStore, *, home: Path, seconds: float = SECONDS) -> None:
        self._store, self._home, self._seconds = store, _identity_of(home), seconds
        self._token = os.urandom(16).hex()
        self._renewals = 0
        self._version: Any = None
        # The time by the store's clock.
        self.acquired = datetime.min.replace(tzinfo=UTC)
        self._renewed = 0.0
        self._lost = ""
        self._stop = threading.Event()

    @contextmanager
    def held(self) -> Iterator["Lease"]:
        """Hold the lease during a `with` block, and renew it three times before it can expire.

        Raises:
            UsageError: another build holds the lease, or the store ignores conditions of writes.
            EnvironmentLacksError: the store cannot be reached, or refuses access.
        """
        self._acquire()
        thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(timeout=self._seconds)
            self._release()

    def require_held(self) -> None:
        """Ask the store whether this process still holds the lease. Each commit calls it first.

        Raises:
            EnvironmentLacksError: the lease was lost.
        """
        if self._lost or time.monotonic() - self._renewed > self._seconds - _SLACK:
            raise self._loss(self._lost or "it was not renewed in time")
        found = self._read()
        if found is None or found[0].get("token") != self._token:
            self._lost = "another build took it" if found else "it was deleted"
            raise self._loss(self._lost)

    def _acquire(self) -> None:
        first: Any = None
        began = time.monotonic()
        while True:
            now = require_conditional_writes(self._store, self._token)
            found = self._read()
            start = time.monotonic()
            if found is None:
                self._version = self._store.create(LEASE, self._content())
            else:
                owner, lease = found
                term = float(owner.get("seconds", self._seconds)) + _SLACK
                age = (now.modified - lease.modified).total_seconds()
                if first is not None and lease.version != first:
                    raise self._refused(owner)
                if owner.get("home") == self._home or age > term or time.monotonic() - began > 2 * term:
                    self._version = self._store.replace(LEASE, self._content(), lease.version)
                    if self._version is None:
                        raise self._refused(owner)
                else:
                    first = lease.version
            if self._version is not None:
                self._renewed, self.acquired = start, now.modified
                return
            if found is None:
                # Another build created the lease since it was read.
                raise self._refused((self._read() or ({}, None))[0])
            time.sleep(min(2.0, self._seconds / 10))

    def _keep(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            self._renew()

    def _renew(self) -> None:
        start = time.monotonic()
        try:
            version = self._store.replace(LEASE, self._content(), self._version)
        except KgcorpusError:
            # The next renewal may succeed. `require_held` counts the seconds since the last one that did.
            return
        if version is None:
            self._lost = "another build took it"
            self._stop.set()
        else:
            self._version, self._renewed = version, start

    def _release(self) -> None:
        try:
            found = self._read()
            # Nobody else can take the lease between these two requests, unless it has expired.
            if found and found[0].get("token") == self._token and not self._lost:
                self._store.delete([LEASE])
        except KgcorpusError:
            # The lease expires.
            return

    def _read(self) -> tuple[dict[str, Any], Found] | None:
        answer = self._store.get(LEASE)
        if answer is None:
            return None
        try:
            owner = json.loads(answer[0])
            return (owner if isinstance(owner, dict) else {}), answer[1]
        except ValueError:
            return {}, answer[1]

    def _content(self) -> bytes:
        # Each renewal has its own content: if its answer is lost, the lease shows whether it succeeded.
        self._renewals += 1
        return json.dumps(
            {
                "token": self._token,
                "host": platform.node(),
                "process": os.getpid(),
                "home": self._home,
                "seconds": self._seconds,
                "renewal": self._renewals,
            }
        ).encode()

    def _refused(self, owner: dict[str, Any]) -> UsageError:
        host, process = owner.get("host", "unknown"), owner.get("process", "unknown")
        return UsageError(
            f"another build (process {process} on {host}) is at work in this folder",
            where=self._store.url,
            hint="Wait for it, or choose another --out",
        )

    def _loss(self, why: str) -> EnvironmentLacksError:
        return EnvironmentLacksError(
            f"the lock of this folder was lost: {why}",
            where=self._store.url,
            hint="Run the same command when no other build is at work: what is finished is kept",
        )


def require_conditional_writes(store: ObjectStore, token: str) -> Found:
    """Check that a store refuses a write whose condition is not met.

    Returns:
        The description of an object that was just written. Its time is the store's present time.

    Raises:
        UsageError: the store ignores conditions, or offers none.
    """
    key, refusal = f"{PROBES}/{token}-{os.urandom(4).hex()}", None
    try:
        made = store.create(key, b"1")
        if made is None or store.create(key, b"2") is not None or not _refuses_update(store, key, made):
            refusal = "ignores the conditions of writes (If-None-Match, If-Match)"
        found = store.head(key)
    except EnvironmentLacksError as error:
        if "not implemented" not in str(error).lower() and "not supported" not in str(error).lower():
            raise
        refusal, found = "has no conditional writes", None
    finally:
        store.delete([key])
    if refusal or found is None:
        raise UsageError(
            f"this store {refusal or 'lost an object that was just written'}, so two builds could overwrite "
            "each other",
            where=store.url,
            hint="Choose another store; build-corpus does without conditions if you add --no-lock and make "
            "sure that no other build writes there",
        )
    return found


def _refuses_update(store: ObjectStore, key: str, made: Any) -> bool:
    if store.replace(key, b"3", made) is None:
        return False
    return store.replace(key, b"4", made) is None


def _identity_of(home: Path) -> str:
    """A name for a folder of this machine. No folder of another machine or container has the same name."""
    status = home.stat()
    boot = _BOOT.read_text().strip() if _BOOT.exists() else platform.node()
    return f"{boot}:{status.st_dev}:{status.st_ino}"
