"""Reading of text files line by line, and parsing of the lines into records."""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from typing import TypeVar

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs.limits import DEFAULT_LIMITS, BadRecord, Limits, OnBad
from kgcorpus.inputs.opening import open_input

K = TypeVar("K")
T = TypeVar("T")
UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def raw_lines(path: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[bytes]:
    """Yield the lines of a UTF-8 file as they are, with their ends and a byte order mark.

    Raises:
        InputError: as `open_input`; or the file is UTF-16, its lines end in CR only, or one is longer than
            the limit.
    """
    most, number = limits.record_bytes, 0
    with open_input(path, limits=limits) as stream:
        while raw := stream.readline(most + 1):
            number += 1
            if number == 1:
                _refuse_other_texts(raw, stream, path)
            if len(raw) > most:
                raise line_too_long(f"{path}:{number}", limits=limits)
            yield raw


def line_too_long(where: str, *, limits: Limits) -> InputError:
    """The error for a line that, with its end, has more than `limits.record_bytes` bytes."""
    return InputError(
        f"the line is longer than {limits.record_mib} MiB",
        where=where,
        hint="If that is no fault, raise limits.record_mib",
    )


def read_lines(path: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without its end or a byte order mark) of a UTF-8 file.

    Files joined by `cat` have a byte order mark at the start of later lines too.

    Raises:
        InputError: as `raw_lines`.
    """
    for number, raw in enumerate(raw_lines(path, limits=limits), start=1):
        yield number, raw.removeprefix(UTF8_BOM).rstrip(b"\r\n")


def read_records(
    path: str,
    parse: Callable[[str], T],
    *,
    tally: Tally,
    on_bad: OnBad,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[T]:
    """Yield the parsed lines, counted; blank ones are dropped and counted, malformed ones handed to `on_bad`.

    Args:
        parse: a line -> a record; raises `BadRecord`, whose `where` and `text` are filled in here.

    Raises:
        InputError: as `raw_lines`.
    """
    file = file_name(path)
    lines = read_lines(path, limits=limits)
    for _, record in parsed_lines(
        lines, parse, where=lambda number: f"{file}:{number}", tally=tally, on_bad=on_bad
    ):
        yield record


def parsed_lines(
    lines: Iterable[tuple[K, bytes]],
    parse: Callable[[str], T],
    *,
    where: Callable[[K], str],
    tally: Tally,
    on_bad: OnBad,
) -> Iterator[tuple[K, T]]:
    """Yield (place, record) of lines, as `read_records`.

    Args:
        lines: each with its place, of any type.
        where: a place as text, for errors.
    """
    good = 0
    try:
        for place, raw in lines:
            try:
                line = decoded(raw)
                if not line or line.isspace():
                    tally.drop("blank_line")
                    continue
                record = parse(line)
            except BadRecord as bad:
                bad.where, bad.text = where(place), raw.decode("utf-8", "backslashreplace")
                on_bad(bad)
                continue
            good += 1
            yield place, record
    finally:
        if good:
            tally.good(good)


def decoded(raw: bytes) -> str:
    """UTF-8 as text.

    Raises:
        BadRecord: it is none.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRecord(f"byte 0x{raw[error.start]:02x} at position {error.start} is not UTF-8") from error


def _refuse_other_texts(first: bytes, stream: BufferedReader, path: str) -> None:
    """Refuse by the first line, and whether more follow on it, what would be read as something else."""
    if first.startswith(_UTF16_BOMS) or b"\0" in first[:2]:
        raise InputError(
            "this is not UTF-8 but looks like UTF-16", where=f"{path}:1", hint="Save the file as UTF-8"
        )
    # One CR is a stray one, and several at the end are no lines.
    several = first.removesuffix(b"\r\n").count(b"\r") > 1 and b"\r" in first.rstrip(b"\r\n")
    if several and not (first.endswith(b"\n") and stream.peek(1)):
        raise InputError("the lines end in CR alone", where=f"{path}:1", hint="Convert their ends to LF")
