"""Input and output of `kgcorpus link`: reads a text, a text file or JSON lines; writes mentions as rows."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.mentions import Mention

# JSON's escapes, and an argument that is not UTF-8, can contain a single half; no output can.
_SURROGATE = re.compile("[\ud800-\udfff]")
# What can only be meant as the name of a file: a path from a root or a folder, or a word with the ending of a
# text file.
_FILE_NAME = re.compile(
    r"(?:\.{0,2}|~)/\S.*|\S+\.(?:txt|text|md|jsonl?|ndjson|csv|tsv|xml|html?|gz|bz2|xz|zst)", re.IGNORECASE
)


def read_texts(text_or_file: str) -> Iterator[dict[str, Any]]:
    """The argument itself as one text, or those of the file it names, as rows {id, text}.

    A `.jsonl` file holds an object with `text`, and optionally `id`, a line; any other file is one text.

    Raises:
        UsageError: nothing is given.
        InputError: it is the name of a file that does not exist (a path, or one word that ends in .txt or the
            like), a folder, a pipe or a device; the file is not UTF-8, a line is not such an object,
            or its text no Unicode.
    """
    if not text_or_file.strip():
        raise UsageError("there is no text", hint="Give a text, or the path of a file")
    path = Path(text_or_file)
    try:
        is_text = not path.exists() or (path.is_dir() and "/" not in text_or_file)
    except (OSError, ValueError):  # a text too long to be a path, or with a NUL in it
        is_text = True
    if is_text and _FILE_NAME.fullmatch(text_or_file):
        raise InputError(
            "no such file",
            where=text_or_file,
            hint="Correct the path; to link it as text, put a space behind",
        )
    if is_text:
        yield _whole({"id": "0", "text": text_or_file}, where="the text")
        return
    require_regular_file(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 at byte {error.start}", where=str(path)) from None
    if path.suffix != ".jsonl":
        yield {"id": path.name, "text": content}
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield _row(line, where=f"{path}, line {number}", number=number)


def _row(line: str, *, where: str, number: int) -> dict[str, Any]:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", where=where) from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise InputError("has no string `text`", where=where)
    return _whole({"id": str(row.get("id", number)), "text": row["text"]}, where=where)


def _whole(row: dict[str, Any], *, where: str) -> dict[str, Any]:
    if any(map(_SURROGATE.search, row.values())):
        raise InputError(
            "holds half of a character (a surrogate)", where=where, hint="Write whole characters"
        )
    return row


def describe(linker: Linker, row: dict[str, Any], *, label_of: Callable[[str], str | None]) -> dict[str, Any]:
    """The row with its `mentions`: span, surface, QID, label or null, source and confidence."""

    def shown(mention: Mention) -> dict[str, Any]:
        return {
            "start": mention.start,
            "end": mention.end,
            "surface": row["text"][mention.start : mention.end],
            "qid": mention.entity,
            "label": label_of(mention.entity),
            "source": mention.source,
            "confidence": round(mention.confidence, 4),
        }

    return {**row, "mentions": [shown(mention) for mention in linker.link(row["text"])]}
