"""Every reason for a drop has a meaning, and every meaning belongs to a reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

from kgcorpus.contracts.drops import DROPS, meaning_of

ROOT = Path(__file__).parents[2]
_ROLES = ("head", "relation", "tail")


def reasons_in(tree: ast.AST) -> Iterator[str]:
    """The reasons that a module passes to `drop`, without what follows a point."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name == "drop" and call.args:
            reason = call.args[0]
        elif name == "tally_drop":
            reason = call.args[1]
        else:
            continue
        for found in [reason.body, reason.orelse] if isinstance(reason, ast.IfExp) else [reason]:
            if isinstance(found, ast.Constant):
                yield found.value
            elif isinstance(found, ast.JoinedStr):
                text = ast.unparse(found)[2:-1].partition(".")[0]
                yield from (text.replace("{role}", role) for role in _ROLES)


def test_every_reason_has_a_meaning_and_none_is_left_over() -> None:
    sources = {
        path: path.read_text()
        for folder in ("kgcorpus", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
    }
    found = {reason for text in sources.values() for reason in reasons_in(ast.parse(text))} - {"kind"}
    assert {reason for reason in found if not meaning_of(reason)} == set()
    home = ROOT / "kgcorpus" / "contracts" / "drops.py"
    others = "\n".join(text for path, text in sources.items() if path != home)
    assert {reason for reason in set(DROPS) - found if f'"{reason}"' not in others} == set()


def test_a_language_may_follow_a_reason() -> None:
    assert meaning_of("names_missing.pt-BR") == DROPS["names_missing"]
    assert meaning_of("of_another_project") == ""
