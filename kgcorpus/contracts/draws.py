"""Random numbers that depend only on (seed, record key), so any partitioning and machine gives the same."""

import hashlib
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def hash64(*parts: int | str) -> int:
    """Hash the parts to an unsigned 64-bit integer; ("ab", "c") and ("a", "bc") have different hashes."""
    digest = hashlib.blake2b(b"".join(map(_framed, parts)), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def hash64_rows(prefix: Sequence[int | str], *columns: Sequence[str]) -> NDArray[np.uint64]:
    """Return [n] `hash64(*prefix, *row)` of each row of the columns; the prefix is hashed once."""
    start = hashlib.blake2b(b"".join(map(_framed, prefix)), digest_size=8)
    digests = []
    for row in zip(*(map(_framed, column) for column in columns), strict=True):
        digest = start.copy()
        digest.update(b"".join(row))
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), "<u8")


def mix64(x: int) -> int:
    """Splitmix64's finaliser (Steele et al. 2014): a bijection of 64-bit integers."""
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def mix64_array(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`mix64`, elementwise."""
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def below_array(counters: NDArray[np.uint64], n: int | NDArray[np.integer]) -> NDArray[np.int64]:
    """Return an integer in [0, n) for each counter; n < 2^32, one number or an array that broadcasts."""
    bits = mix64_array(counters) >> np.uint64(32)
    return (bits * np.asarray(n).astype(np.uint64) >> np.uint64(32)).astype(np.int64)


class Draw:
    """A stream of random numbers for one key, e.g. `Draw(seed, "kmlm", epoch, record_id)`."""

    def __init__(self, *key: int | str) -> None:
        self._state = hash64(*key)

    def bits(self) -> int:
        """The next 64 random bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        return mix64(self._state)

    def uniform(self) -> float:
        """The next number in [0, 1), 53 bits."""
        return (self.bits() >> 11) / (1 << 53)

    def below(self, n: int) -> int:
        """The next integer in [0, n); the bias of n / 2^64 is negligible."""
        return (self.bits() * n) >> 64

    def choice(self, items: Sequence[T]) -> T:
        """Select one item."""
        return items[self.below(len(items))]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Shuffle in place (Fisher-Yates)."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """Select k items without replacement, in random order."""
        pool = list(items)
        k = min(k, len(pool))
        for i in range(k):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:k]


def _framed(part: int | str) -> bytes:
    data = str(part).encode("utf-8", "surrogatepass")
    return len(data).to_bytes(4, "little") + data
