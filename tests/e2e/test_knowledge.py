"""TRELM's and JAKET's tables, built from real text, graph and classes, against the raw files read plainly."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from tests.conftest import ROOT
from tests.e2e.commands import ONE_CORE, run, sets
from tests.e2e.knowledge import Raw, bare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ENCODER = ROOT / "kgcorpus" / "demo" / "world" / "encoder"
Row = dict[str, Any]


@dataclass(frozen=True)
class Sentence:
    """A sentence of the corpus with its mentions, as the published tables hold it."""

    page: int
    text: str
    mentions: list[Row]


class Built:
    """A build's published tables."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.report = json.loads((out / "report.json").read_text())["tables"]

    def rows(self, config: str) -> list[Row]:
        files = sorted((self.out / "data" / config).glob("*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    @cached_property
    def trelm(self) -> list[Row]:
        return sorted(self.rows("trelm"), key=_place)

    @cached_property
    def jaket_text(self) -> list[Row]:
        return sorted(self.rows("jaket_text"), key=_place)

    @cached_property
    def sentences(self) -> list[Sentence]:
        """In the pages' order: TRELM's sentences, their mentions with JAKET's source."""
        sources = [mention["source"] for row in self.jaket_text for mention in row["mentions"]]
        found, mentions = [], iter(sources)
        for row in self.trelm:
            for span in row["sentences"]:
                inside = [m for m in row["mentions"] if span["start"] <= m["start"] < span["end"]]
                moved = [
                    {**m, "start": m["start"] - span["start"], "end": m["end"] - span["start"]}
                    for m in inside
                ]
                text = row["text"][span["start"] : span["end"]]
                found.append(Sentence(_place(row)[0], text, [{**m, "source": next(mentions)} for m in moved]))
        assert next(mentions, None) is None
        return found

    @cached_property
    def frequency(self) -> Counter[str]:
        return Counter(m["qid"] for row in self.trelm for m in row["mentions"])


def _place(row: Row) -> tuple[int, int]:
    _, _, page, ordinal = row["id"].split(":")
    return int(page), int(ordinal)


@pytest.fixture(scope="module")
def raw(real_data: Path) -> Raw:
    return Raw(real_data)


@pytest.fixture(scope="module")
def built(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("knowledge")
    types = folder / "types.tsv"
    script = ROOT / "benchmarks" / "codex_types.py"
    archive = real_data / "codex" / "codex-s-m.tar.xz"
    subprocess.run([sys.executable, script, archive, types], check=True, capture_output=True)
    done = run(
        *("build-corpus", "trelm", "jaket_text", "jaket_edges", "--out", folder / "out"),
        *("--config", ROOT / "conf" / "jaket-demo-small-corpus.yaml"),
        *sets(*ONE_CORE, f"importance.encoder={ENCODER}"),
        KGCORPUS_TEST_DATA=str(real_data),
        KGCORPUS_TYPES=str(types),
    )
    assert done.returncode == 0, done.stderr
    return Built(folder / "out")


@pytest.fixture(scope="module")
def count_tokens() -> Callable[[str], int]:
    tokenizer = Tokenizer.from_file(str(ENCODER / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def test_a_mention_is_a_link_of_the_page_or_its_name_again(built: Built, raw: Raw) -> None:
    sources: Counter[str] = Counter()
    for sentence in built.sentences:
        page = raw.pages[sentence.page]
        linked = defaultdict(set)
        for title, shown in page.links:
            if title in raw.titles:
                linked[raw.titles[title]] |= {shown}
        after = 0
        for mention in sentence.mentions:
            assert after <= mention["start"] < mention["end"] <= len(sentence.text)
            after = mention["end"]
            surface = bare(sentence.text[mention["start"] : mention["end"]])
            own = {bare(page.title)} if raw.titles.get(page.title) == mention["qid"] else set()
            names = linked[mention["qid"]] | (own if mention["source"] == "same_page" else set())
            assert surface in names, (page.title, sentence.text, mention)
            assert mention["qid"] in raw.entities
            sources[mention["source"]] += 1
    assert sources["anchor"] > 3000
    assert sources["same_page"] > 4000


@pytest.mark.parametrize(("table", "limit"), [("trelm", 256), ("jaket_text", 512)])
def test_passages_are_whole_sentences_up_to_the_limit(
    built: Built, count_tokens: Callable[[str], int], table: str, limit: int
) -> None:
    sentences = iter(built.sentences)
    room = limit - 2  # [CLS] and [SEP]
    page, words, length = 0, "", 0  # of the passage before
    for row in getattr(built, table):
        inside = []
        while len(" ".join(s.text for s in inside)) < len(row["text"]):
            inside.append(next(sentences))
        assert row["text"] == " ".join(s.text for s in inside)
        assert {s.page for s in inside} == {_place(row)[0]}
        surfaces = [row["text"][m["start"] : m["end"]] for m in row["mentions"]]
        assert surfaces == [s.text[m["start"] : m["end"]] for s in inside for m in s.mentions]
        assert [m["qid"] for m in row["mentions"]] == [m["qid"] for s in inside for m in s.mentions]
        assert count_tokens(row["text"]) <= room or len(inside) == 1
        tokens = [count_tokens(" " + s.text) for s in inside]
        if page == inside[0].page:
            # The sentence did not fit the passage before, by its own length or by that of the whole.
            assert max(length + tokens[0], count_tokens(f"{words} {inside[0].text}")) > room
        page, words, length = inside[0].page, row["text"], sum(tokens)
    assert next(sentences, None) is None


def test_importance_is_the_formula(built: Built) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(ENCODER), AutoModel.from_pretrained(ENCODER).eval()

    def state(ids: list[int]) -> torch.Tensor:
        framed = [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
        with torch.no_grad():
            states = model(torch.tensor([framed])).last_hidden_state[0]
        return states[1:-1].mean(0)

    cosines = []
    for sentence in built.sentences[::10]:
        encoded = tokenizer(sentence.text, add_special_tokens=False, return_offsets_mapping=True)
        ids = encoded["input_ids"]
        for mention in sentence.mentions:
            hit = [
                i
                for i, (a, b) in enumerate(encoded["offset_mapping"])
                if set(range(a, b)) & set(range(mention["start"], mention["end"]))
            ]
            if len(ids) + 2 > model.config.max_position_embeddings or mention["cos"] is None:
                continue
            replaced = [*ids[: hit[0]], tokenizer.mask_token_id, *ids[hit[-1] + 1 :]]
            cosines.append((torch.cosine_similarity(state(ids), state(replaced), dim=0), mention["cos"]))
            assert mention["si"] == pytest.approx(1 / mention["cos"], rel=1e-6)
    assert len(cosines) > 700
    assert max(abs(float(a) - b) for a, b in cosines) <= 1e-5


def test_a_mentions_frequency_tail_and_facts(built: Built, raw: Raw) -> None:
    mean = np.mean(list(built.frequency.values()))
    facts: dict[str, list[Row]] = {}
    for row in built.trelm:
        for mention in row["mentions"]:
            qid = mention["qid"]
            assert mention["frequency"] == built.frequency[qid]
            assert mention["long_tail"] == (built.frequency[qid] < mean and bool(raw.neighbours(qid)))
            assert facts.setdefault(qid, mention["triples"]) == mention["triples"]
    for qid, found in facts.items():
        some = {(f["r"], f["other"], f["direction"], f["label"]) for f in found}
        every = raw.facts(qid)
        assert len(some) == len(found) == min(16, len(every))
        assert some <= every
    assert sum(map(bool, facts.values())) > 1500


def test_hard_negatives_come_from_the_relations_range(built: Built, raw: Raw) -> None:
    from trainer.trelm.graph import open_graph

    facts = open_graph(built.out, relation_names=False).facts
    entities = facts.entities.to_pylist()
    for (relation, direction), ends in raw.ranges.items():
        assert facts.range_of(relation, direction).counts() == ends
    for (qid, relation, direction), ends in raw.true_ends.items():
        if qid in built.frequency:
            assert {entities[number] for number in facts.ends(qid, relation, direction)} == ends


def test_kept_entities_are_described_and_well_connected_or_often_mentioned(
    built: Built, raw: Raw, count_tokens: Callable[[str], int]
) -> None:
    described = _described(built, raw)
    kept = {q for q in described if len(raw.neighbours(q)) >= 5 or built.frequency[q] >= 5}
    entities = {row["qid"]: row for row in built.rows("jaket_entities")}
    assert set(entities) == kept
    for qid, row in entities.items():
        source, surfaces = described[qid]
        assert row["text"] in source
        assert count_tokens(row["text"]) <= 64
        assert row["category"] == raw.category(qid)
        mention = row["start"] is not None and bare(row["text"][row["start"] : row["end"]])
        names = {bare(name) for of_lang in raw.names[qid].values() for name in of_lang}
        assert mention in surfaces | names or (mention is False and not surfaces)
    categorised = sum(raw.category(q) is not None for q in described)
    counts = built.report["jaket_entities"]["counts"]
    assert counts["described"] == len(described)
    assert counts["described_and_categorised"] == categorised
    assert counts["categorised"] == sum(row["category"] is not None for row in entities.values())
    assert categorised >= 600


def _described(built: Built, raw: Raw) -> dict[str, tuple[str, set[str]]]:
    """QID -> the text that its description is cut from, and how it is mentioned there."""
    heads: dict[int, Row] = {}
    for row in built.jaket_text:
        heads.setdefault(_place(row)[0], row)
    texts: dict[str, list[tuple[str, list[Row]]]] = defaultdict(list)
    for page, row in heads.items():
        if (qid := raw.titles.get(raw.pages[page].title)) in raw.entities:
            texts[qid].append((row["text"], row["mentions"]))
    for sentence in built.sentences:
        for mention in sentence.mentions:
            if mention["source"] == "anchor":
                texts[mention["qid"]].append((sentence.text, sentence.mentions))
    found = {}
    for qid, candidates in texts.items():
        names = {bare(name) for of_lang in raw.names.get(qid, {}).values() for name in of_lang}
        for text, mentions in candidates:
            surfaces = {bare(text[m["start"] : m["end"]]) for m in mentions if m["qid"] == qid}
            if bare(text) not in names | surfaces:
                found[qid] = (text, surfaces)
                break
    return found


def test_edges_and_the_trainers_graph(built: Built, raw: Raw) -> None:
    from trainer.jaket.graph import group_edges

    qids = sorted(row["qid"] for row in built.rows("jaket_entities"))
    edges = [(row["h"], row["r"], row["t"]) for row in built.rows("jaket_edges")]
    assert len(set(edges)) == len(edges)
    assert set(edges) == raw.edges(set(qids))
    assert built.report["jaket_edges"]["drops"]["category_edge"] > 0

    place = {qid: i for i, qid in enumerate(qids)}
    relations = sorted({r for _, r, _ in edges})
    graph = group_edges(
        np.array([place[h] for h, _, _ in edges], np.int32),
        np.array([relations.index(r) for _, r, _ in edges], np.int16),
        np.array([place[t] for _, _, t in edges], np.int32),
        nodes=len(qids),
        relation_count=len(relations),
        directions="both",
    )
    expected = sorted(
        [(place[h], place[t], relations.index(r)) for h, r, t in edges]
        + [(place[t], place[h], relations.index(r) + len(relations)) for h, r, t in edges]
    )
    owners = np.repeat(np.arange(len(qids)), np.diff(graph.offsets))
    columns = (owners.tolist(), graph.neighbours.tolist(), graph.relations.tolist())
    assert list(zip(*columns, strict=True)) == expected
