"""SI against eq. 1 written a second time, and what a shard's mentions share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.encoder import load_encoder
from kgcorpus.importance.formula import semantic_importance
from kgcorpus.importance.score import score_sentences
from tests.importance.oracle import REPLACEMENTS, naive_cosines, naive_state

NAMES = {"Q270": ["Berlin", "東京"], "Q5": ["Pierre Curie"], "Q17": ["Việt Nam", "Japan", "Frankreich"]}
SENTENCES = [
    ("Marie Curie moved from Warsaw to Paris, in 1891.", [("Marie Curie", "Q5"), ("Warsaw", "Q270")]),
    ("パリはフランスの首都です。東京の話。", [("パリ", "Q270"), ("フランス", "Q17"), ("東京", "Q270")]),
    ("Hà Nội là thủ đô của Việt Nam 😀 (Đông Nam Á).", [("Hà Nội", "Q270"), ("Việt Nam", "Q17")]),
    ("서울은 대한민국의 수도이다.", [("서울", "Q270"), ("대한민국", "Q17")]),
    ("A  double  space before 中国 and Marie Curie, Paris.", [("中国", "Q17"), ("Paris", "Q270")]),
    ("Paris", [("Paris", "Q270")]),
    ("No one is mentioned here.", []),
]


def rows(sentences=SENTENCES):
    return [
        {
            "sentence_id": f"en:1:{i}",
            "lang": "en",
            "text": text,
            "mentions": [
                {
                    "start": text.index(name),
                    "end": text.index(name) + len(name),
                    "qid": qid,
                    "source": "dictionary",
                    "confidence": 0.75,
                }
                for name, qid in mentions
            ],
        }
        for i, (text, mentions) in enumerate(sentences)
    ]


def names(qid, lang):
    assert lang == "en"
    return NAMES[qid]


def score(sentences, encoder, *, replacement="mask", tally=None, **options):
    if replacement == "entity":
        options.setdefault("entity_names", names)
    return score_sentences(
        sentences, encoder=encoder, replacement=replacement, seed=1, tally=tally or Tally(), **options
    )


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_equals_the_formula_written_naively(encoder, replacement, pooling):
    sentences = rows()
    scored = score(sentences, encoder, replacement=replacement, pooling=pooling)
    texts = {row["sentence_id"]: row["text"] for row in sentences}
    assert len(scored) == sum(len(row["mentions"]) for row in sentences)
    for row in scored:
        expected = naive_cosines(
            encoder,
            texts[row["sentence_id"]],
            row["start"],
            row["end"],
            replacement=replacement,
            pooling=pooling,
            names=NAMES[row["qid"]],
        )
        if not expected:
            assert row["cos"] is None
            continue
        assert min(abs(row["cos"] - cos) for cos in expected) < 1e-5
        assert row["si"] == semantic_importance(row["cos"])
    spread = [row["cos"] for row in scored if row["cos"] is not None]
    assert max(spread) - min(spread) > 1e-3  # the encoder tells mentions apart, or nothing is tested


def test_rows_fit_the_table(encoder):
    scored = score(rows(), encoder)
    stored = pa.Table.from_pylist(scored, schema=table("importance").schema).to_pylist()
    assert [row["cos"] for row in stored] == [row["cos"] for row in scored]  # float32 already
    assert {row["confidence"] for row in stored} == {0.75}


def test_the_same_shard_gives_the_same_bits_and_another_cut_the_same_values(encoder):
    sentences = [
        {**row, "sentence_id": f"{row['sentence_id']}:{n}", "text": row["text"] + " tail" * n}
        for n in range(9)
        for row in rows()
    ]
    whole = score(sentences, encoder)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    assert score(sentences, encoder) == whole
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    cut = score(sentences[:17], encoder) + score(sentences[17:], encoder)
    back = score(sentences[::-1], encoder)
    by_key = {(row["sentence_id"], row["start"]): row["cos"] for row in back}
    for one, two in zip(whole, cut, strict=True):
        assert abs(one["cos"] - two["cos"]) < 1e-6
        assert abs(one["cos"] - by_key[one["sentence_id"], one["start"]]) < 1e-6


def test_equal_texts_and_mentions_are_read_once(encoder):
    twice = rows([*SENTENCES, *SENTENCES])
    tally = Tally()
    scored = score(twice, encoder, tally=tally)
    mentions = sum(len(m) for _, m in SENTENCES)
    texts = sum(bool(m) for _, m in SENTENCES)
    assert [row["cos"] for row in scored[:mentions]] == [row["cos"] for row in scored[mentions:]]
    tokens = tally.counts.pop("importance_tokens")
    once = Tally()
    score(rows(), encoder, tally=once)
    assert tokens == once.counts["importance_tokens"] > 5 * mentions
    assert tally.counts == {
        "importance_mentions": 2 * mentions,
        "importance_texts": texts,
        "importance_passes": texts + mentions,
    }


def test_the_entity_drawn_depends_on_seed_and_text_alone(encoder):
    sentences = rows()

    def drawn(seed):
        return score_sentences(
            sentences, encoder=encoder, replacement="entity", seed=seed, tally=Tally(), entity_names=names
        )

    assert drawn(3) == drawn(3)
    assert any(drawn(3) != drawn(seed) for seed in range(4, 9))
    with pytest.raises(UsageError, match="names"):
        score_sentences(sentences, encoder=encoder, replacement="entity", seed=1, tally=Tally())


def test_what_cannot_be_scored_is_null_and_counted(encoder):
    far = "Paris " * 80 + "東京 Warsaw"
    sentences = rows([(far, [("Paris", "Q270"), ("Warsaw", "Q270")]), ("Paris", [("Paris", "Q270")])])
    sentences.append(
        {
            "sentence_id": "en:1:9",
            "lang": "en",
            "text": "Paris   Paris",
            "mentions": [{"start": 6, "end": 7, "qid": "Q270", "confidence": 1.0}],
        }
    )
    tally = Tally()
    scored = score(sentences, encoder, replacement="delete", tally=tally)
    assert [row["cos"] is None for row in scored] == [False, True, True, True]
    assert [row["si"] is None for row in scored] == [False, True, True, True]
    assert tally.drops == {"truncated_mention": 1, "nothing_left": 1, "mention_without_tokens": 1}
    tally = Tally()
    score(rows(), encoder, replacement="entity", entity_names=lambda qid, lang: [], tally=tally)
    assert tally.drops == {"no_other_entity": sum(len(m) for _, m in SENTENCES)}


@pytest.mark.parametrize("name", ["Curie " * 20, "Paris"])
def test_a_long_text_is_truncated_before_the_replacement_and_again_after_it(encoder, name):
    short = replace(encoder, max_length=12)
    text = "Marie Curie lies in " + "Warsaw " * 9
    sentences = rows([(text, [("Marie Curie", "Q5")])])
    scored = score(sentences, short, replacement="entity", entity_names=lambda qid, lang: [name])
    tokens = encoder.tokenize([text])[0]
    after = [i for i, (start, _) in zip(tokens.ids, tokens.offsets, strict=True) if start >= 11][:10]
    kept = after[: 10 - sum(start < 11 for start, _ in tokens.offsets)]
    changed = (encoder.tokenize([name])[0].ids + kept)[:10]
    whole, other = (naive_state(encoder, ids, pooling="mean") for ids in (tokens.ids[:10], changed))
    assert abs(scored[0]["cos"] - torch.cosine_similarity(whole, other, dim=0).item()) < 1e-5


def test_bf16_ranks_as_fp32(save_encoder: Callable[..., Path], tmp_path):
    folder = str(save_encoder("bert", tmp_path))
    full, half = (
        np.array([row["cos"] for row in score(rows(), load_encoder(folder, dtype=dtype))])
        for dtype in ("fp32", "bf16")
    )
    assert np.abs(full - half).max() < 0.02
    assert (full != half).any()
