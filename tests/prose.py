"""`python -m tests.prose`: no page, docstring, comment or message has a phrase that readers stumble over.

The list is short on purpose: each entry was frequent here, has one plain replacement, and occurs in no other
sense. `make check` runs it.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Phrase, and what to write instead.
PHRASES = {
    r"\banew\b": "again, new, or the verb with re- (rewrite, restart)",
    r"\bgoes on\b": "continues, resumes",
    r"\bhas not come to\b": "stopped before finishing ...",
    r"\bcomes to be\b": "is made",
    r"\b(is|are) told (of|from|by|apart)\b": "is called with; is distinguished from; is represented by",
    r"\btold of\b": "called with, called for",
    r"\bwhat (is|was) said of\b": "the property itself: facts, rows, answers",
    r"\bstands? for something\b": "refers to an entity",
    r"\bnone of them true\b": "true answers are excluded",
    r"\bis no \w+ that\b": "say what it is",
    r"\btakes? it for\b": "reads it as",
    r"\bas good as none\b": "has no effect",
    r"\bmends?\b": "hint (for advice), repair (for files)",
    r"\bof which it is said\b": "two sentences",
}
_SUFFIXES = (".py", ".md", ".yaml", ".toml")
# Release notes quote names of former versions; results are written by programs.
_SKIPPED = ("CHANGELOG.md", "proofs/results/", "benchmarks/results/", "tests/", "kgcorpus/demo/world/")
# `mend` is a public name of version 0.1.
_ALLOWED = {("kgcorpus/contracts/errors.py", r"\bmends?\b")}


def main() -> int:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [fault for name in listed.splitlines() for fault in faults_of(name)]
    sys.stderr.write("".join(f"{fault}\n" for fault in found))
    return 1 if found else 0


def faults_of(name: str) -> Iterator[str]:
    """Yield `file:line: phrase: instead` for each phrase in a file."""
    path = ROOT / name
    if path.suffix not in _SUFFIXES or name.startswith(_SKIPPED) or not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    for number, line in prose_of(text) if path.suffix == ".py" else enumerate(text.splitlines(), 1):
        for phrase, instead in PHRASES.items():
            if (match := re.search(phrase, line)) and (name, phrase) not in _ALLOWED:
                yield f"{name}:{number}: {match[0]!r}; write: {instead}"


def prose_of(code: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a program's comments and strings, with their numbers."""
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in kinds:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


if __name__ == "__main__":
    sys.exit(main())
