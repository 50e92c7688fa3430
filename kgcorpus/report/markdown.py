"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    """Return a table, without a newline at its end; cells are Markdown already.

    Args:
        head: the columns' names.
        rows: the cells.
        numbers: how many columns, the last ones, are aligned to the right.
    """
    rules = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))
