"""Input files: opened on any file system, decompressed within limits, read line by line.

Nothing here trusts a file: what is damaged, packed without end, in another encoding or an archive is refused
with its place, or handed to the caller's `on_bad` as a `BadRecord`.
"""

from kgcorpus.inputs.limits import DEFAULT_LIMITS, BadRecord, Limits, OnBad, refuse
from kgcorpus.inputs.lines import UTF8_BOM, decoded, raw_lines, read_lines, read_records
from kgcorpus.inputs.opening import open_input, open_slice, size_of
from kgcorpus.inputs.parts import (
    FilePart,
    PagesOfPart,
    PlacedLine,
    last_line,
    part_lines,
    part_records,
    split_file,
)

__all__ = [
    "DEFAULT_LIMITS",
    "UTF8_BOM",
    "BadRecord",
    "FilePart",
    "Limits",
    "OnBad",
    "PagesOfPart",
    "PlacedLine",
    "decoded",
    "last_line",
    "open_input",
    "open_slice",
    "part_lines",
    "part_records",
    "raw_lines",
    "read_lines",
    "read_records",
    "refuse",
    "size_of",
    "split_file",
]
