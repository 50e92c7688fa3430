"""Entities marked in a text, for benchmarks that ask about them."""

from collections.abc import Sequence

HEAD, TAIL = ("<e1>", "</e1>"), ("<e2>", "</e2>")
MARKERS = (*HEAD, *TAIL)


def marked(tokens: Sequence[str], head: tuple[int, int], tail: tuple[int, int]) -> str:
    """The tokens joined by spaces, with markers around two spans [start, end) of them."""
    around = [(*head, HEAD), (*tail, TAIL)]
    words = []
    for i, token in enumerate([*tokens, ""]):
        words += [marks[1] for _, end, marks in around if end == i]
        words += [marks[0] for start, _, marks in around if start == i]
        words.append(token)
    return " ".join(words).rstrip()
