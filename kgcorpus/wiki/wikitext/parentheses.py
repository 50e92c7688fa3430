"""Cleanup of parentheses and lists after templates were removed: `(; born 1950)`, `(, )`, `a, , b`."""

import re

from kgcorpus.wiki.wikitext.characters import HOLE

_CLOSING = {"(": ")", "（": "）", "[": "]"}
_SEPARATORS = ",;，、；"
_RUN = f" \t:：/–-{_SEPARATORS}"
_HOLES = re.compile(rf"{HOLE}(?:[ \t]*+{HOLE})++")
_LONGEST_RUN = 16
_ENTITY_END = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31})\Z")


def without_holes(text: str) -> str:
    """Remove the marks of what was removed, with the separators and parentheses that are empty without it."""
    if HOLE not in text:
        return text
    first, *parts = _HOLES.sub(HOLE, text).split(HOLE)
    core = _without_run(first)
    out = [core]
    tail = first[len(core) :]
    for part in parts:
        rest = part.lstrip(_RUN)
        head = part[: len(part) - len(rest)]
        while rest and out[-1] and _CLOSING.get(out[-1][-1]) == rest[0]:
            out[-1], tail, head, rest = _without_pairs(out[-1], rest)
            while not out[-1] and len(out) > 1:
                out.pop()
                core = _without_run(out[-1])
                tail = (out[-1][len(core) :] + tail)[:_LONGEST_RUN]
                out[-1] = core
        if not rest:
            tail = (tail + head)[:_LONGEST_RUN]
            continue
        before, after = out[-1][-1:], rest[0]
        if before not in _CLOSING and after not in ")）]":
            out.append(_between(tail, head, after))
        core = _without_run(rest)
        out.append(core)
        tail = rest[len(core) :]
    return "".join([*out, tail])


def _without_pairs(left: str, right: str) -> tuple[str, str, str, str]:
    """Remove the brackets around a hole, and those around them that hold nothing else.

    Returns:
        The text before them, the separators behind that text, those behind the brackets, and what follows.
    """
    end, start = len(left), 0
    while end and start < len(right) and _CLOSING.get(left[end - 1]) == right[start]:
        end, start = end - 1, start + 1
        last, first = end, start
        while end and left[end - 1] in _RUN:
            end -= 1
        while start < len(right) and right[start] in _RUN:
            start += 1
    core = _without_run(left[:last])
    rest = right[first:].lstrip(_RUN)
    return core, left[len(core) : last], right[first : len(right) - len(rest)], rest


def _without_run(text: str) -> str:
    """`text` without the separators at its end; the semicolon of an entity is none."""
    core = text.rstrip(_RUN)
    is_entity = text.startswith(";", len(core)) and _ENTITY_END.search(core, max(0, len(core) - 34))
    return core + ";" if is_entity else core


def _between(tail: str, head: str, after: str) -> str:
    """What stays of the separators before and behind a hole."""
    if not tail and not head:
        return ""
    left, right = ([mark for mark in run if mark in _SEPARATORS] for run in (tail, head))
    if left and right:
        kept = next((mark for mark in left + right if mark in ";；"), left[0])
        return kept + (" " if head.endswith((" ", "\t")) else "")
    if head.lstrip(" \t")[:1] in (",", ";") or (not head and after in ".,;"):
        tail = tail.rstrip(" \t:：")
        head = head.lstrip(" \t")
    return tail + head
