"""CPU time and memory of this process and all that descend from it, from /proc."""

import os
import threading
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree() -> list[int]:
    """The ids of this process and of all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    tree = [os.getpid()]
    for pid in tree:
        tree += [child for child, parent in parents.items() if parent == pid]
    return tree


def tree_seconds() -> float:
    """CPU seconds of the processes that are alive."""
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in tree())
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / _TICKS


def memory_mib(pid: int) -> int:
    """Proportional set size."""
    try:
        smaps = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(smaps.partition("\nPss:")[2].split()[0]) // 1024


def own_ticks() -> dict[int, int]:
    """Process id -> ticks of CPU time, of this process and its descendants."""
    found = {}
    for pid in tree():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[pid] = sum(map(int, fields[11:13]))
    return found


class Peak(threading.Thread):
    """The most memory that this process and its descendants had since `reset`, in MiB; and their CPU time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib = 0
        self._ticks: dict[int, int] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self.mib = max(self.mib, sum(map(memory_mib, tree())))
            self.cpu_seconds()
            time.sleep(0.5)

    def cpu_seconds(self) -> float:
        """Of this process and its descendants. One that has ended counts with what it was last seen with.

        Spark's daemon ignores SIGCHLD, so the kernel adds the time of its workers to no parent.
        """
        with self._lock:
            self._ticks.update(own_ticks())
            return sum(self._ticks.values()) / _TICKS

    def reset(self) -> int:
        """Reset; returns the peak so far."""
        peak, self.mib = self.mib, 0
        return peak
