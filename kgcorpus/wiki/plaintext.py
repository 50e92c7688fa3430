"""Plain text as rows of table `pages`: CC100's form, or a document a line."""

from collections.abc import Iterator
from typing import Any

from kgcorpus.contracts.remote import file_name
from kgcorpus.inputs import DEFAULT_LIMITS, UTF8_BOM, BadRecord, Limits, OnBad, decoded, raw_lines, refuse

BYTES_A_FILE = 2**40


def read_documents(
    path: str, *, lang: str, ordinal: int, limits: Limits = DEFAULT_LIMITS, on_bad: OnBad = refuse
) -> Iterator[dict[str, Any]]:
    """The documents of one UTF-8 file (`.gz`, `.bz2` or `.xz` decompressed), as rows of table `pages`.

    A document is a block of lines between blank ones (CC100's form); in a file without blank lines
    between others, it is one line.

    Args:
        ordinal: position of the file among the `text` entries. A document's page id is
            `-(ordinal * 2**40 + byte offset + 1)`, so it does not change with the partitioning.
        on_bad: told of a line that is not UTF-8, which its document goes on without, and of a document that
            is longer than the limit, which ends there and begins anew.

    Raises:
        InputError: as `inputs.raw_lines`.
    """
    file = file_name(path)
    blocks = _has_blocks(path, limits)
    document: list[str] = []
    start = offset = size = 0
    for number, raw in enumerate(raw_lines(path, limits=limits), start=1):
        line = _line(raw, where=f"{file}:{number}", on_bad=on_bad)
        if line and not document:
            start, size = offset, 0
        if line:
            document.append(line)
            size += len(raw)
        if size > limits.record_bytes:
            reason = f"the document is longer than {limits.record_mib} MiB: no blank line ends it"
            on_bad(BadRecord(reason, where=f"{file}:{number}", text=document[0]))
            document, size = [], 0
        if document and (not line or not blocks):
            yield _row(document, start=start, lang=lang, ordinal=ordinal)
            document = []
        offset += len(raw)
    if document:
        yield _row(document, start=start, lang=lang, ordinal=ordinal)


def _has_blocks(path: str, limits: Limits) -> bool:
    """Whether a blank line stands between two others."""
    text_before = blank_before = False
    for line in raw_lines(path, limits=limits):
        if not line.strip():
            blank_before = text_before
        elif blank_before:
            return True
        else:
            text_before = True
    return False


def _line(raw: bytes, *, where: str, on_bad: OnBad) -> str:
    try:
        return " ".join(decoded(raw.removeprefix(UTF8_BOM)).split())
    except BadRecord as bad:
        on_bad(BadRecord(bad.reason, where=where, text=raw.decode("utf-8", "backslashreplace")))
        return ""


def _row(document: list[str], *, start: int, lang: str, ordinal: int) -> dict[str, Any]:
    return {
        "page_id": -(ordinal * BYTES_A_FILE + start + 1),
        "title": "",
        "lang": lang,
        "text": "\n".join(document),
        "links": [],
        "blocks": None,
        "redirect": None,
        "disambiguation": False,
    }
