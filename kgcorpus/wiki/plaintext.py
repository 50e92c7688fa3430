"""Plain text as rows of table `pages`: documents between blank lines (CC100), or one on each line."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

from kgcorpus.contracts.remote import file_name
from kgcorpus.inputs import (
    DEFAULT_LIMITS,
    UTF8_BOM,
    BadRecord,
    FilePart,
    Limits,
    OnBad,
    decoded,
    part_lines,
    raw_lines,
    refuse,
)

Documents = Literal["lines", "paragraphs"]
BYTES_A_FILE = 2**40
_SAMPLED_LINES = 10_000
_SAMPLED_BYTES = 16 << 20
# Lines between blank ones. CC100's documents have about 10 lines; where blocks are longer on average, the
# blank lines may be stray ones of a file with a document on each line.
_USUAL_LINES, _MOST_LINES = 20, 100
# Fewer blocks than this are in doubt: one to three blank lines may be stray in a file of any size.
_FEW_BLOCKS = 5
# How files of other formats begin: XML and HTML (a dump, an export), and the output of WikiExtractor.
_MARKUP = ("<?xml", "<!doctype", "<mediawiki", "<html", "<doc ")


class TextForm(NamedTuple):
    """How a file separates its documents, and the sample that this was inferred from.

    Attributes:
        documents: `lines` or `paragraphs`.
        lines: lines of the sample that are not blank.
        blocks: runs of such lines between blank ones.
        characters: Unicode code points of the sample's documents, line ends not counted.
        json: sampled lines that look like JSON objects or arrays.
        doubtful: neither form fits well.
    """

    documents: Documents
    lines: int
    blocks: int
    characters: int
    json: int
    doubtful: bool

    @property
    def found(self) -> int:
        """Documents in the sample."""
        return self.lines if self.documents == "lines" else self.blocks

    @property
    def mean_characters(self) -> float:
        """Code points of a document, on average."""
        return self.characters / max(1, self.found)


def infer_form(path: str, *, documents: Documents | None = None, limits: Limits = DEFAULT_LIMITS) -> TextForm:
    """Infer the form of a text file from its first 10,000 lines, or its first 16 MiB if they are fewer lines.

    A file is `paragraphs` if blank lines separate blocks of at most 100 lines on average, else `lines`. It
    is in doubt if the two forms give different documents, and there are fewer than 5 blocks or they have
    more than 20 lines on average; also if most lines look like JSON, or the first like XML or HTML.

    Args:
        documents: the configured form, if any; the sample is counted all the same.

    Raises:
        InputError: as `inputs.raw_lines`.
    """
    lines = blocks = characters = size = json = 0
    after_blank, markup = True, False
    for raw in islice(raw_lines(path, limits=limits), _SAMPLED_LINES):
        text = raw.removeprefix(UTF8_BOM).decode("utf-8", "replace").strip()
        if text:
            lines += 1
            blocks += after_blank
            characters += len(text)
            json += (text[0], text[-1]) in (("{", "}"), ("[", "]"))
            markup = markup or (lines == 1 and text[:10].casefold().startswith(_MARKUP))
        after_blank = not text
        size += len(raw)
        if size > _SAMPLED_BYTES:
            break
    mean = lines / max(1, blocks)
    separated = blocks > 1
    found: Documents = "paragraphs" if separated and mean <= _MOST_LINES else "lines"
    doubtful = separated and lines > blocks and (blocks < _FEW_BLOCKS or mean > _USUAL_LINES)
    doubtful = documents is None and (doubtful or markup or 2 * json > lines)
    return TextForm(documents or found, lines, blocks, characters, json, doubtful)


def read_documents(
    file: str | FilePart,
    *,
    lang: str,
    ordinal: int,
    documents: Documents | None = None,
    limits: Limits = DEFAULT_LIMITS,
    on_bad: OnBad = refuse,
) -> Iterator[dict[str, Any]]:
    """The documents of one UTF-8 file, plain or packed, as rows of table `pages`.

    Args:
        file: its path; or a part of it, if there is a document on each line.
        ordinal: position of the file among the `text` entries. A document's page id is
            `-(ordinal * 2**40 + n + 1)`, where n is the byte at which it begins (`FilePart.number_of` in a
            file that is read in parts), so it does not change with the partitioning.
        documents: `paragraphs` for blocks of lines between blank ones (CC100's form), `lines` for one on each
            line; default: `infer_form`.
        on_bad: called for a line that is not UTF-8, which is skipped, and for a document that is longer than
            the limit, which is split there.

    Raises:
        InputError: as `inputs.raw_lines`.
    """
    part = FilePart(file) if isinstance(file, str) else file
    name = file_name(part.path)
    blocks = (documents or infer_form(part.path, limits=limits).documents) == "paragraphs"
    document: list[str] = []
    start = size = 0
    for placed in part_lines(part, limits=limits):
        where = placed.where(name)
        line = _line(placed.text, where=where, on_bad=on_bad)
        if line and not document:
            start, size = part.number_of(placed, most=BYTES_A_FILE), 0
        if line:
            document.append(line)
            size += len(placed.text)
        if size > limits.record_bytes:
            reason = f"the document is longer than {limits.record_mib} MiB: no blank line ends it"
            on_bad(BadRecord(reason, where=where, text=document[0]))
            document, size = [], 0
        if document and (not line or not blocks):
            yield _row(document, start=start, lang=lang, ordinal=ordinal)
            document = []
    if document:
        yield _row(document, start=start, lang=lang, ordinal=ordinal)


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
