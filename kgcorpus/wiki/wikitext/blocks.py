"""The lines of an article's text, and what each is: paragraph, list item, heading, table cell or caption."""

import re

# Noncharacters at the start of a line say what it is; no text holds them.
CELL, CAPTION = "\ufdd3", "\ufdd4"
PARAGRAPH, HEADING = "paragraph", "heading"
_KINDS = {**dict.fromkeys("*#:;", "list"), "=": HEADING, CELL: "cell", CAPTION: "caption"}
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
    blocks: list[str] = []
    kinds: list[str] = []
    paragraph: list[str] = []

    def add(kind: str, block: str) -> None:
        # The space of ASCII is the only white space that is printable.
        if not block.isprintable() or "  " in block or block[-1:] == " " or block[:1] == " ":
            block = " ".join(block.split())
        if block[:1].isalnum() or _WORD.search(block):
            blocks.append(block)
            kinds.append(kind)

    def end() -> None:
        add(PARAGRAPH, paragraph[0] if len(paragraph) == 1 else " ".join(paragraph))
        paragraph.clear()

    for line in text.split("\n"):
        if not line or line.isspace():
            if paragraph:
                end()
            continue
        kind = _KINDS.get(line[0])
        if kind is None or (kind == HEADING and not line.rstrip().endswith("=")):
            # A horizontal rule; MediaWiki shows what follows its dashes.
            if shown := line.lstrip("-") if line.startswith("----") else line:
                paragraph.append(shown)
            continue
        if paragraph:
            end()
        add(kind, line.strip("= \t") if kind == HEADING else line.lstrip(_LEADING))
    if paragraph:
        end()
    return "\n".join(blocks), kinds


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
