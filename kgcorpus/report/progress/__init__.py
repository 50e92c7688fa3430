"""How far a command is: a bar on a terminal, a line every 30 seconds elsewhere, and OUT/progress.json.

The bar, the lines and the file show the same `Facts`, so another process can follow the file.
"""

from kgcorpus.report.progress.estimates import Counts
from kgcorpus.report.progress.facts import Facts, is_running, read_facts
from kgcorpus.report.progress.show import Progress, follow, meter_counts

__all__ = [
    "Counts",
    "Facts",
    "Progress",
    "follow",
    "is_running",
    "meter_counts",
    "read_facts",
]
