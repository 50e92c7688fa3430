"""Plain text as rows of table `pages`: CC100's form, or a document a line."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from kgcorpus.contracts.errors import InputError
from kgcorpus.wiki.dump import open_dump

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BYTES_A_FILE = 2**40


def read_documents(path: str, *, lang: str, ordinal: int) -> Iterator[dict[str, Any]]:
    """The documents of one UTF-8 file (`.gz` or `.bz2` decompressed), as rows of table `pages`.

    A document is a block of lines between blank ones (CC100's form); in a file without blank lines
    between others, it is one line.

    Args:
        ordinal: position of the file among the inputs of its language. A document's page id is
            `-(ordinal * 2**40 + byte offset + 1)`, so it does not change with the partitioning.

    Raises:
        InputError: a line is not UTF-8; or as `open_dump`.
    """
    with open_dump(path) as stream:
        blocks = _has_blocks(stream)
    with open_dump(path) as stream:
        document: list[str] = []
        start = offset = 0
        for number, raw in enumerate(stream, start=1):
            line = " ".join(_decoded(raw, number=number, path=path).split())
            if line and not document:
                start = offset
            if line:
                document.append(line)
            if document and (not line or not blocks):
                yield _row(document, start=start, lang=lang, ordinal=ordinal)
                document = []
            offset += len(raw)
        if document:
            yield _row(document, start=start, lang=lang, ordinal=ordinal)


def _has_blocks(stream: BinaryIO) -> bool:
    """Whether a blank line stands between two others."""
    text_before = blank_before = False
    for line in stream:
        if not line.strip():
            blank_before = text_before
        elif blank_before:
            return True
        else:
            text_before = True
    return False


def _decoded(raw: bytes, *, number: int, path: str) -> str:
    if number == 1:
        if raw.startswith(_UTF16_BOMS):
            raise InputError("the text is UTF-16", where=f"{path}, line 1", mend="Convert it to UTF-8")
        raw = raw.removeprefix(_BOM)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise InputError(
            f"byte {fault.start + 1} of the line is not UTF-8",
            where=f"{path}, line {number}",
            mend="Convert the file to UTF-8, or repair the line",
        ) from fault


def _row(document: list[str], *, start: int, lang: str, ordinal: int) -> dict[str, Any]:
    return {
        "page_id": -(ordinal * _BYTES_A_FILE + start + 1),
        "title": "",
        "lang": lang,
        "text": "\n".join(document),
        "links": [],
        "redirect": None,
        "disambiguation": False,
    }
