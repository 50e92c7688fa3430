"""Draws docs/assets/flow.svg, the path of the data: `python docs/flow.py`."""

from pathlib import Path

_COLUMNS = (
    ("Inputs", "#e8eefc", (("Wikipedia dumps", "text with links"), ("Plain text", "JSON lines, Parquet"), ("Wikidata", "or own triples, labels"))),
    (
        "build-corpus",
        "#e6f4ea",
        (
            ("Linked sentences", "links, names, entities"),
            ("Semantic importance", "an encoder scores mentions"),
            ("Cycles and rules", "mined from the graph"),
        ),
    ),
    (
        "Parquet shards",
        "#fef3dc",
        (
            ("plain_text, trelm, jaket_text", "passages"),
            ("code_switched, reasoning", "triples as text"),
            ("jaket_entities, jaket_edges, xlr", "descriptions, edges, questions"),
        ),
    ),
    ("train", "#fde7e7", (("KMLM", "triples and cycles as text"), ("TRELM", "injected knowledge, routing"), ("JAKET", "text and graph jointly"))),
)  # fmt: skip
_WIDTH, _HEIGHT, _GAP, _BOX, _STEP = 225, 62, 36, 82, 60


def drawing() -> str:
    """Return the picture as SVG text."""
    width = len(_COLUMNS) * (_WIDTH + _GAP) - _GAP + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 320" font-family="sans-serif" role="img">',
        "<title>Inputs become tables, tables become Parquet shards, shards train models</title>",
        f'<rect width="{width}" height="320" fill="#ffffff"/>',
    ]
    for column, (title, colour, boxes) in enumerate(_COLUMNS):
        x = 10 + column * (_WIDTH + _GAP)
        parts.append(
            f'<text x="{x + _WIDTH / 2}" y="32" text-anchor="middle" font-size="18" font-weight="bold">{title}</text>'
        )
        for row, (name, detail) in enumerate(boxes):
            y = _STEP + row * _BOX
            parts += [
                f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="{colour}" stroke="#555"/>',
                f'<text x="{x + _WIDTH / 2}" y="{y + 27}" text-anchor="middle" font-size="14">{name}</text>',
                f'<text x="{x + _WIDTH / 2}" y="{y + 47}" text-anchor="middle" font-size="12" fill="#555">{detail}</text>',
            ]
        if column:
            y = _STEP + _BOX + _HEIGHT / 2
            start, end = x - _GAP + 5, x - 5
            parts.append(f'<path d="M{start} {y}H{end - 8}" stroke="#555" stroke-width="2"/>')
            parts.append(f'<path d="M{end} {y}l-10 -6v12z" fill="#555"/>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    (Path(__file__).parent / "assets" / "flow.svg").write_text(drawing(), encoding="utf-8")
