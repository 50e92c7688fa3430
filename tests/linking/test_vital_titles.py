"""The summaries of conf/vital.yaml: each document's own title is a mention at its first place."""

import lzma
from pathlib import Path
from typing import Any

import pytest

from kgcorpus.contracts.tally import Tally
from kgcorpus.contracts.typography import PLAIN
from kgcorpus.inputs import refuse
from kgcorpus.linking.anchors import link_page
from kgcorpus.wiki.documents import read_linked_documents

EVERY = 20
PLAINER = str.maketrans({**PLAIN, "\u00a0": " ", "\u202f": " "})


def first_place(title: str, written: str) -> tuple[int, int] | None:
    """The first whole mention, found without regular expressions."""
    name, text = title.split(" (", maxsplit=1)[0].translate(PLAINER), written.translate(PLAINER)
    for start in range(len(text)):
        end = start + len(name)
        if text[start:end] in (name, name[0].lower() + name[1:]):
            before, after = written[start - 1 : start], written[end : end + 1]
            compound = {before, after} & {"-", "\u2010", "\u2011"}
            if not (compound or before.isalnum() or after.isalnum()):
                return start, end
    return None


def mentions(page: dict[str, Any]) -> list[tuple[int, int, str, str, float]]:
    """Mentions of the whole page, with places in its text."""
    found, after = [], 0
    for row in link_page(page, tally=Tally()):
        at = page["text"].index(row["text"], after)
        after = at + len(row["text"])
        found += [
            (at + m["start"], at + m["end"], m["qid"], m["source"], m["confidence"]) for m in row["mentions"]
        ]
    return found


@pytest.mark.parametrize(("lang", "least"), [("en", 325), ("fr", 350), ("es", 200)])
def test_a_summarys_title_is_a_sure_mention_at_its_first_place(
    real_data: Path, tmp_path: Path, lang: str, least: int
) -> None:
    with lzma.open(real_data / "vital-summaries" / f"{lang}.jsonl.xz", "rt", encoding="utf-8") as lines:
        chosen = [line for i, line in enumerate(lines) if i % EVERY == 0]
    path = tmp_path / "some.jsonl"
    path.write_text("".join(chosen), encoding="utf-8")
    read = {"lang": lang, "ordinal": 0, "sites": {}, "tally": Tally(), "on_bad": refuse, "link_title": True}
    linked = 0
    for page in read_linked_documents(str(path), **read):
        place = first_place(page["title"], page["text"])
        assert [(link["start"], link["end"]) for link in page["links"]] == ([place] if place else [])
        if place:
            linked += 1
            qid = page["qid"] or "Q1"
            links = [{**link, "qid": qid} for link in page["links"]]
            first = min(mentions({**page, "links": links}))
            assert first == (*place, qid, "anchor", 1.0)
    assert linked >= least
