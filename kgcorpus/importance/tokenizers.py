"""Checks of third-party tokenizers: they have a vocabulary, and no text makes them hang or panic."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.panics import is_panic

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Seconds allowed for 100 kB of probe texts; ordinary tokenizers need 0.1 s.
_LIMIT = 10.0
_RUN = 400
# Repeated characters of one class, with and without spaces, make nested quantifiers backtrack.
_CHARACTERS = "aZ0 ._-'\nßがあ漢한\u0301"
# They change each character, or it and the marks that follow it.
_CHARACTER_NORMALIZERS = frozenset(
    {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "StripAccents"}
)
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_UNBOUNDED = re.compile(r"(?<!\\)[*+]|\{\d*,\}")
# Runs in a subprocess: the library cannot be interrupted, and a panic prints a backtrace.
_PROBE = (
    "import json, sys\n"
    "from tokenizers import Tokenizer\n"
    "asked = json.load(sys.stdin)\n"
    "Tokenizer.from_str(asked['tokenizer']).encode_batch_fast(asked['texts'])\n"
)


@contextlib.contextmanager
def tokenizer_panics_as_errors(where: str) -> Iterator[None]:
    """Convert a panic of the Rust library (not an `Exception`) to an InputError.

    Args:
        where: the tokenizer, for the error.

    Raises:
        InputError: the tokenizer panicked.
    """
    try:
        yield
    except BaseException as error:
        if not is_panic(error):
            raise
        raise InputError(
            f"the tokenizer fails ({' '.join(str(error).split())[:200]})",
            where=where,
            hint="Save the model's tokenizer again, or name another model",
        ) from None


def check_tokenizer(tokenizer: "Tokenizer") -> None:
    """Check that a tokenizer has a vocabulary and encodes probe texts within 10 seconds.

    Regular expressions in a `tokenizer.json` are matched with backtracking, so nested quantifiers can take
    exponential time or panic. Probing is skipped if no expression repeats a group or contains two repetitions
    in one alternative. The probe texts repeat the characters that occur in the expressions.

    Raises:
        ValueError: no vocabulary, a panic, or the time limit was reached.
    """
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    if tokenizer.get_vocab_size() <= len(special) + 1 and not tokenizer.get_vocab().keys() - special:
        raise ValueError("it has no tokenizer: tokenizer.json is missing, or its vocabulary is empty")
    parts = {name: _state(getattr(tokenizer, name)) for name in ("normalizer", "pre_tokenizer")}
    patterns = list(_patterns(parts))
    if not any(map(_may_backtrack, patterns)):
        return
    bare = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], **parts}
    bare |= {"post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}}
    asked = json.dumps({"tokenizer": json.dumps(bare), "texts": list(_probe_texts(patterns))})
    try:
        # -P: not a tokenizers.py of the working directory.
        ended = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE],
            check=False,
            input=asked,
            text=True,
            capture_output=True,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"its tokenizer needs over {_LIMIT:.0f} s for a short text: a regular expression in "
            "tokenizer.json backtracks without end"
        ) from None
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"signal {-ended.returncode}"])[-1]
        raise ValueError(f"its tokenizer fails on a text ({last[:200]})")


def treatment_of_spaces(tokenizer: "Tokenizer") -> tuple[bool, bool]:
    """`splits_at_spaces` and `ignores_first_space` of `TokenCounter`, by what is known of the parts.

    False for a part that is not known, where nothing is wrong but slow: texts are measured again as wholes.
    """
    added = tokenizer.get_added_tokens_decoder().values()
    if any(token.rstrip or any(map(str.isspace, token.content)) for token in added):
        return False, False
    normalizers = _parts(_state(tokenizer.normalizer), "normalizers")
    if any(part["type"] not in _CHARACTER_NORMALIZERS for part in normalizers):
        return False, False
    return _first_split(next(iter(_parts(_state(tokenizer.pre_tokenizer), "pretokenizers")), {"type": ""}))


def _first_split(part: dict[str, Any]) -> tuple[bool, bool]:
    """What the first pre-tokenizer does: (it splits at spaces, it ignores the first one)."""
    match part:
        case {"type": "BertPreTokenizer" | "Whitespace" | "WhitespaceSplit"}:
            return True, True
        case {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Removed", "invert": False}:
            return True, True
        case {"type": "ByteLevel", "use_regex": True, "add_prefix_space": prefixed}:
            return True, bool(prefixed)
        case {"type": "Metaspace", "split": True, "prepend_scheme": scheme}:
            return True, scheme == "always"
    return False, False


def _parts(state: Any, name: str) -> list[Any]:
    """A part of a tokenizer, or those of a sequence."""
    if state is None:
        return []
    return [part for node in state[name] for part in _parts(node, name)] if name in state else [state]


def _state(part: Any) -> Any:
    return None if part is None else json.loads(part.__getstate__())


def _may_backtrack(pattern: str) -> bool:
    alternatives = pattern.split("|")
    return bool(_REPEATED_GROUP.search(pattern)) or any(len(_UNBOUNDED.findall(a)) > 1 for a in alternatives)


def _probe_texts(patterns: list[str]) -> Iterator[str]:
    named = [character for character in "".join(patterns) if character.isalnum()]
    for character in dict.fromkeys([*_CHARACTERS, *named[:200]]):
        yield character * _RUN + "!"
        yield f"{character} " * (_RUN // 2) + "!"


def _patterns(node: Any) -> Iterator[str]:
    """Yield the regular expressions in a tokenizer's JSON."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Regex" and isinstance(value, str):
                yield value
            else:
                yield from _patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from _patterns(value)
