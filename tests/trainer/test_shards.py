import json

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import damage_pages, rows_of, write_corpus
from trainer.shards import ShardStream


def stream_of(files, *, name="code_switched", **options):
    return ShardStream(files[name], name=name, **{"seed": 0, "max_length": 128, **options})


def names(records):
    return [(record.epoch, record.id) for record in records]


def test_each_epoch_reads_every_record_once_in_an_order_of_its_own(files):
    stream = stream_of(files)
    first, second = ([r.id for r in stream.take(stream.rows)] for _ in range(2))
    assert len(set(first)) == stream.rows
    assert sorted(first) == sorted(second)
    assert first != second
    assert first == [r.id for r in stream_of(files).take(stream.rows)]
    assert first != [r.id for r in stream_of(files, seed=1).take(stream.rows)]


@pytest.mark.parametrize("read", [0, 1, 137, 10_000])
def test_a_state_goes_on_at_the_exact_record(files, read):
    stream = stream_of(files)
    stream.take(read)
    state = json.loads(json.dumps(stream.state()))
    assert len(json.dumps(state)) < 100
    expected = stream.take(300)
    resumed = stream_of(files)
    resumed.load_state(state)
    assert names(resumed.take(300)) == names(expected)


def test_ranks_take_equal_disjoint_shares_of_the_one_order(files):
    whole = names(stream_of(files).take(48))
    ranks = [stream_of(files, rank=rank, world=3) for rank in range(3)]
    shares = [names(rank.take(24)) + names(rank.take(24)) for rank in ranks]
    assert [len(share) for share in shares] == [16, 16, 16]
    assert sorted(name for share in shares for name in share) == sorted(whole)
    assert ranks[0].state() == ranks[1].state() == ranks[2].state()


def test_long_records_with_slots_are_dropped_and_counted(files):
    whole, short = stream_of(files, name="reasoning"), stream_of(files, name="reasoning", max_length=45)
    assert whole.dropped == 0
    assert 0 < short.dropped == whole.rows - short.rows
    assert max(len(record.ids) for record in short.take(short.rows)) <= 45
    tokens = [len(record.ids) for record in whole.take(whole.rows)]
    assert short.lost == pytest.approx(sum(n for n in tokens if n > 45) / sum(tokens))


@pytest.mark.parametrize("max_length", [5, 17, 20, 30])
def test_long_plain_text_is_cut_into_pieces_and_loses_no_token(files, max_length):
    whole, cut = stream_of(files, name="plain"), stream_of(files, name="plain", max_length=max_length)
    texts = {record.id: record.ids.tolist() for record in whole.take(whole.rows)}
    pieces = {record.id: record for record in cut.take(cut.rows)}
    assert len(pieces) == cut.rows
    assert cut.cut == sum(len(ids) > max_length for ids in texts.values()) > 0
    assert cut.lost == 0
    assert f"{cut.cut} are longer than {max_length} tokens" in cut.describe()
    for record in pieces.values():
        assert len(record.ids) == len(record.slot) == len(record.sentence) <= max_length
    for name, ids in texts.items():
        own = [
            pieces[key].ids.tolist()
            for key in (name, *(f"{name}#{n}" for n in range(1, 99)))
            if key in pieces
        ]
        assert {(piece[0], piece[-1]) for piece in own} == {(ids[0], ids[-1])}
        assert [ids[0], *(token for piece in own for token in piece[1:-1]), ids[-1]] == ids
        assert max(map(len, own)) - min(map(len, own)) <= 1


def test_a_state_between_two_pieces_of_a_text_goes_on_there(files):
    stream = stream_of(files, name="plain", max_length=9)
    for _ in range(40):
        stream.take(1)
        resumed = stream_of(files, name="plain", max_length=9)
        resumed.load_state(stream.state())
        assert names(resumed.take(3)) == names(stream_and_back(stream, 3))


def stream_and_back(stream, count):
    state = stream.state()
    records = stream.take(count)
    stream.load_state(state)
    return records


@pytest.mark.parametrize(("max_length", "chosen"), [(512, "512"), (128, "128"), (400, "128"), (64, "128")])
def test_plain_text_is_read_from_the_passages_made_for_the_length(tmp_path, tokenizer, max_length, chosen):
    rows = [
        {**row, "id": f"{n}-{row['id']}", "length": n} for n in (128, 512) for row in rows_of(6)["plain_text"]
    ]
    corpus = write_corpus(tmp_path, {"plain_text": rows})
    files = ensure_tokens(corpus, "plain_text", tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
    stream = ShardStream(files, name="plain", seed=0, max_length=max_length)
    records = [record.id for record in stream.take(stream.rows)]
    assert len({name.partition("#")[0] for name in records}) == 6
    assert {name.split("-")[0] for name in records} == {chosen}


def test_no_files_give_no_rows():
    assert ShardStream([], name="plain", seed=0, max_length=128).rows == 0


def test_damaged_pages_are_told_with_their_file_at_any_time(tmp_path, tokenizer):
    corpus = write_corpus(tmp_path, {"plain_text": rows_of(60)["plain_text"]})
    files = ensure_tokens(corpus, "plain_text", tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
    stream = ShardStream(files, name="plain", seed=0, max_length=128)
    for file in files:
        damage_pages(file)
    told = rf"{files[0].parent}/train-.*: cannot be read \(.*\)\. Delete it and run the same command again"
    with pytest.raises(InputError, match=told):
        stream.take(2 * stream.rows)
    with pytest.raises(InputError, match=told):
        ShardStream(files, name="plain", seed=0, max_length=128)


def test_a_cut_passage_keeps_what_lies_before_the_cut(tmp_path, tokenizer):
    text = "a river flows through Ulm a. It flows through Ulm b."
    spans = [(text.index("Ulm a"), text.index("Ulm a") + 5), (text.index("Ulm b"), text.index("Ulm b") + 5)]
    row = {
        "id": "p1",
        "lang": "en",
        "text": text,
        "sentences": [{"start": 0, "end": 28}, {"start": 29, "end": len(text)}],
        "mentions": [{"start": a, "end": b, "qid": f"Q{i}", "triples": []} for i, (a, b) in enumerate(spans)],
    }
    corpus = write_corpus(tmp_path, {"trelm": [row]})
    made = ensure_tokens(corpus, "trelm", tokenizer.backend_tokenizer, mask_token=tokenizer.mask_token)
    (record,) = ShardStream(made["train"], name="trelm", seed=0, max_length=128).take(1)
    assert [m["qid"] for m in record.mentions] == ["Q0", "Q1"]
    assert len(record.sentences) == 2
    # The closing special token takes the place of the second mention's last one.
    length = record.mentions[1]["end"]
    stream = ShardStream(made["train"], name="trelm", seed=0, max_length=length)
    (cut,) = stream.take(1)
    assert stream.cut == 1
    assert stream.lost == pytest.approx((len(record.ids) - length) / len(record.ids))
    assert [m["qid"] for m in cut.mentions] == ["Q0"]
    assert cut.sentences == record.sentences[:1]
    assert cut.ids.tolist() == [*record.ids[: length - 1], record.ids[-1]]


def test_rare_languages_are_read_more_often(tmp_path, tokenizer):
    rows = [
        {"id": f"{lang}{i}", "lang": lang, "text": f"Ulm {i}.", "length": 128}
        for lang, n in (("en", 900), ("de", 100))
        for i in range(n)
    ]
    corpus = write_corpus(tmp_path, {"plain_text": rows}, row_group=100)
    made = ensure_tokens(corpus, "plain_text", tokenizer.backend_tokenizer, mask_token=tokenizer.mask_token)

    def stream(exponent):
        return stream_of({"plain": made["train"]}, name="plain", language_exponent=exponent)

    epochs = [r for r in stream(0.5).take(3 * 1000) if r.epoch < 2]
    share = sum(r.id.startswith("de") for r in epochs) / len(epochs)
    # sqrt(900) : sqrt(100) = 3 : 1
    assert share == pytest.approx(0.25, abs=0.02)
    assert len(epochs) == pytest.approx(2000, abs=100)
    for epoch in (0, 1):
        names = [r.id for r in epochs if r.epoch == epoch]
        assert len(set(names)) == len(names)
        # 250 readings of 100 records: each twice or three times.
        assert {name.split("~")[1] for name in names if "~" in name and name[:2] == "de"} == {"1", "2"}
    assert sorted(r.id for r in stream(1.0).take(1000)) == sorted(row["id"] for row in rows)
