import bz2
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tables import TABLES
from kgcorpus.wiki.plaintext import read_documents


def read(tmp_path, data, name="x.txt", ordinal=0):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_documents(str(path), lang="fr", ordinal=ordinal))


def test_blocks_between_blank_lines(tmp_path):
    documents = read(tmp_path, "un  deux\r\ntrois\n\n \nquatre é\n\n".encode(), ordinal=2)
    assert [d["text"] for d in documents] == ["un deux\ntrois", "quatre é"]
    assert [d["page_id"] for d in documents] == [-(2 * 2**40 + 1), -(2 * 2**40 + 20)]
    assert set(TABLES["pages"].columns) - set(documents[0]) == {"qid", "revision", "time", "url"}


def test_without_blank_lines_a_line_is_a_document(tmp_path):
    assert [d["text"] for d in read(tmp_path, b"a\nb\n\n\n")] == ["a", "b"]
    assert read(tmp_path, b"\n\n") == read(tmp_path, b"") == []


def test_packed_files_and_a_byte_order_mark(tmp_path):
    text = "\ufeffa\n\nb\n".encode()
    for name, data in (("x", text), ("x.gz", gzip.compress(text)), ("x.bz2", bz2.compress(text))):
        assert [d["text"] for d in read(tmp_path, data, name)] == ["a", "b"]


def test_bad_bytes_name_the_line(tmp_path):
    with pytest.raises(InputError, match=r"x\.txt:3: byte 0xff at position 1 is not UTF-8"):
        read(tmp_path, b"a\n\nb\xff\n")
    with pytest.raises(InputError, match="UTF-16"):
        read(tmp_path, "a".encode("utf-16"))


@given(st.lists(st.lists(st.text(alphabet="aé中 𝒳", min_size=1), min_size=1), min_size=2))
def test_ids_are_unique_and_no_word_is_lost(tmp_path_factory, blocks):
    text = "\n\n".join("\n".join(lines) for lines in blocks)
    documents = read(tmp_path_factory.mktemp("t"), text.encode())
    assert " ".join(d["text"] for d in documents).split() == text.split()
    assert len({d["page_id"] for d in documents}) == len(documents)
