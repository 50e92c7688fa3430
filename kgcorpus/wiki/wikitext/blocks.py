"""Classification of an article's lines: paragraph, list item, heading, table cell or caption."""

import re

# Noncharacters at the start of a line say what it is; no text holds them.
CELL, CAPTION = "\ufdd3", "\ufdd4"
PARAGRAPH, HEADING = "paragraph", "heading"
RULE, BLANK = "rule", ""
_KINDS = {
    **dict.fromkeys("*#:;", "list"),
    **{"=": HEADING, CELL: "cell", CAPTION: "caption", "-": RULE, "": BLANK},
}
_LEADING = f"*#:; \t{CELL}{CAPTION}"

_ROW = re.compile(r"\n[ \t:*#]*+(?=\{\||\|\+|\|-|\|\}|[|!]|\ufdd3|\ufdd4)")
_CELLS = re.compile(r"(?:^[|!]|\|\||!!)((?>(?:[^|!\[]++|\[\[[^\[\]]*+\]\]|\[|\|(?!\|)|!(?!!))*))")
_ATTRIBUTES = re.compile(r"^[^|\[\]]*+\|")
_PART = re.compile(r"\|((?>(?:[^|\[\]]++|\[\[[^\[\]]*+\]\]|[\[\]])*))")
_SHOWN_BELOW = re.compile(
    r"\s*(?:thumb|thumbnail|frame|framed|mini|miniatur|gerahmt|vignette|cadre|miniatura|miniaturadeimagen"
    r"|miniatuur|omkaderd|nhỏ|khung|サムネイル|フレーム|섬네일|썸네일|缩略图|縮圖|有框)\s*",
    re.IGNORECASE,
)
_OPTION = re.compile(r"\s*(?:[a-z\-]*+|\d*+x?\d+ ?px|[\w\-]++ ?=.*+)\s*", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"[^\W_]")


def blocks_of(text: str) -> tuple[str, list[str]]:
    """The text's blocks, a line each, and what each is; a block has a letter or digit and single spaces."""
    kinds: list[str] = []
    blocks: list[str] = []
    paragraph: list[str] = []
    for line in text.split("\n"):
        kind = _KINDS.get(line[:1])
        if kind is None:
            if not line.isspace():
                paragraph.append(line)
                continue
        elif not line.startswith("----") if kind is RULE else _is_open_heading(kind, line):
            paragraph.append(line)
            continue
        if paragraph:
            kinds.append(PARAGRAPH)
            blocks.append(paragraph[0] if len(paragraph) == 1 else " ".join(paragraph))
            paragraph.clear()
        if kind is RULE:
            paragraph.append(line.lstrip("-"))  # MediaWiki shows what follows the dashes
        elif kind:
            kinds.append(kind)
            blocks.append(line.strip("= \t") if kind is HEADING else line.lstrip(_LEADING))
    if paragraph:
        kinds.append(PARAGRAPH)
        blocks.append(" ".join(paragraph))
    return _with_words(kinds, blocks)


def _is_open_heading(kind: str, line: str) -> bool:
    """Whether a line begins as a heading and does not end as one."""
    return kind is HEADING and not line.rstrip().endswith("=")


def _with_words(kinds: list[str], blocks: list[str]) -> tuple[str, list[str]]:
    """The blocks with a letter or digit, their white space normalised, and their kinds."""
    kept: list[str] = []
    kept_kinds: list[str] = []
    for kind, raw in zip(kinds, blocks, strict=True):
        # In ASCII, spaces and tabs are the only white space here; else the space is the only one printable.
        is_spaced = "\t" in raw if raw.isascii() else not raw.isprintable()
        is_spaced = is_spaced or "  " in raw or raw[-1:] == " " or raw[:1] == " "
        block = " ".join(raw.split()) if is_spaced else raw
        if block[:1].isalnum() or _WORD.search(block):
            kept.append(block)
            kept_kinds.append(kind)
    return "\n".join(kept), kept_kinds


def cells_of(table: str) -> str:
    """The lines of a table without a table inside: its caption and its cells, as lines of their kinds."""
    lines = []
    for row in (" ".join(part.split("\n")) for part in _ROW.split(table)):
        if row[:1] in (CELL, CAPTION):
            lines.append(row)
        elif row.startswith("|+"):
            lines.append(CAPTION + _ATTRIBUTES.sub("", row[2:], count=1))
        elif row[:1] in ("|", "!") and row[:2] not in ("|-", "|}"):
            lines += [CELL + _ATTRIBUTES.sub("", cell, count=1) for cell in _CELLS.findall(row)]
    return "\n" + "\n".join(lines) + "\n"


def caption_of(link: str) -> str:
    """The text shown below a file, from its whole link; empty where none is shown."""
    parts = _PART.findall(link[2:-2])
    if not any(map(_SHOWN_BELOW.fullmatch, parts)) or _OPTION.fullmatch(parts[-1]):
        return ""
    return str(parts[-1])
