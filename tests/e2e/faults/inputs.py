"""Faults of the configuration and of what a build reads."""

import bz2
import gzip
import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq

from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.demo.dumps import write_dumps
from tests.e2e.commands import run
from tests.e2e.faults.place import Done, Fault, Place


def unknown_key(place: Place) -> Done:
    return place.build_from("cycles: {per_pear: 3}\n")


def no_config(place: Place) -> Done:
    return place.build("--config", str(place.folder / "absent.yaml"))


def object_store(place: Place) -> Done:
    return run("build-corpus", "--out", "hdfs://node/out")


def unknown_table(place: Place) -> Done:
    return place.build("tripels")


def wrong_path(place: Place) -> Done:
    return place.build_from(f"graph: {{triples: [{place.folder}/absent.txt]}}\n")


def missing_column(place: Place) -> Done:
    triples = place.folder / "triples.txt"
    triples.write_text("Q1\tP1\tQ2\nQ2\tP1\n")
    return place.build_from(f"graph: {{triples: [{triples}]}}\n", "triples")


def missing_column_set_aside(place: Place) -> Done:
    triples = place.folder / "triples.txt"
    triples.write_text("Q1\tP1\tQ2\n" * 3 + "Q2\tP1\n")
    done = place.build_from(f"graph: {{triples: [{triples}]}}\non_bad_input: quarantine\n", "triples")
    assert not (place.out / "manifest.json").exists()
    _set_aside(place, triples, 4)
    return done


def _set_aside(place: Place, triples: Path, line: int) -> None:
    """The malformed line alone stands in quarantine/, with its position and reason."""
    (file,) = (place.out / "quarantine" / "triples").iterdir()
    (bad,) = map(json.loads, file.read_text().splitlines())
    assert bad["where"] == f"{triples.name}:{line}"
    assert "3 tab-separated columns" in bad["reason"]
    assert bad["text"] == "Q2\tP1"


def one_bad_line(place: Place) -> Done:
    triples = place.folder / "triples.txt"
    triples.write_text("".join(f"Q1\tP1\tQ{n}\n" for n in range(2, 202)) + "Q2\tP1\n")
    done = place.build_from(f"graph: {{triples: [{triples}]}}\non_bad_input: quarantine\n", "triples")
    entry = load_manifest(place.out).tables["triples"]
    assert (entry.rows, entry.drops) == (200, {"bad_input": 1})
    _set_aside(place, triples, 201)
    return done


def utf16(place: Place) -> Done:
    triples = place.folder / "triples.txt"
    triples.write_text("Q1\tP1\tQ2\n", encoding="utf-16")
    return place.build_from(f"graph: {{triples: [{triples}]}}\n", "triples")


def latin1(place: Place) -> Done:
    labels = place.folder / "labels.tsv"
    labels.write_text("Q1\tde\tKöln\n", encoding="latin-1")
    (place.folder / "triples.txt").write_text("Q1\tP1\tQ2\n")
    graph = f"{{triples: [{place.folder}/triples.txt], labels: [{labels}]}}"
    return place.build_from(f"graph: {graph}\n", "entities")


def bomb(place: Place) -> Done:
    triples = place.folder / "triples.txt.gz"
    triples.write_bytes(gzip.compress((b"Q1\tP1\tQ2\t" + b"x" * (1 << 20) + b"\n") * 70))
    return place.build_from(f"graph: {{triples: [{triples}]}}\n", "triples")


def _dump(place: Place) -> Path:
    write_dumps(place.folder)
    return next(place.folder.glob("enwiki*"))


def _build_dump(place: Place, dump: Path) -> Done:
    return place.build_from(f"wikipedia: [{{lang: en, dump: {dump}}}]\n", "pages")


def _build_truncated(place: Place, dump: Path) -> Done:
    dump.write_bytes(dump.read_bytes()[:-500])
    return _build_dump(place, dump)


def _build_flipped(place: Place, dump: Path, share: float) -> Done:
    """Build a dump of which the byte at this share of its length is flipped."""
    data = bytearray(dump.read_bytes())
    data[int(len(data) * share)] ^= 0xFF
    dump.write_bytes(data)
    return _build_dump(place, dump)


def truncated_dump(place: Place) -> Done:
    return _build_truncated(place, _dump(place))


def flipped_byte(place: Place) -> Done:
    return _build_flipped(place, _dump(place), 1 / 2)


def broken_xml(place: Place) -> Done:
    dump = _dump(place)
    text = bz2.decompress(dump.read_bytes()).replace(b"</title>", b"</titel>", 1)
    dump.write_bytes(bz2.compress(text))
    return _build_dump(place, dump)


def _of_blocks(place: Place) -> Path:
    """A dump of several blocks of bzip2, so that what reads its head sees the first alone."""
    pages = (
        f"<page><title>Page {n}</title><ns>0</ns><id>{n}</id><revision><text>"
        f"{hashlib.shake_256(str(n).encode()).hexdigest(1000)}</text></revision></page>\n"
        for n in range(1, 2001)
    )
    dump = place.folder / "dump.xml.bz2"
    dump.write_bytes(bz2.compress(f"<mediawiki>\n{''.join(pages)}</mediawiki>".encode()))
    assert dump.stat().st_size > 1 << 20
    return dump


def truncated_far_inside(place: Place) -> Done:
    return _build_truncated(place, _of_blocks(place))


def flipped_far_inside(place: Place) -> Done:
    return _build_flipped(place, _of_blocks(place), 7 / 8)


def entity_expansion(place: Place) -> Done:
    return _build_dump(place, _with_entities(place))


def entities_in_a_second_dump(place: Place) -> Done:
    dumps = f"[{_dump(place)}, {_with_entities(place)}]"
    return place.build_from(f"wikipedia: [{{lang: en, dump: {dumps}}}]\n", "pages")


def _with_entities(place: Place) -> Path:
    dump = place.folder / "dump.xml"
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    dump.write_text(f'<!DOCTYPE mediawiki [<!ENTITY l0 "ha">{levels}]><mediawiki>&l9;</mediawiki>')
    return dump


_PAGE = "<page><title>{}</title><ns>0</ns><id>{}</id><revision><text>{}</text></revision></page>"


def page_without_text(place: Place) -> Done:
    dump = place.folder / "dump.xml"
    pages = (("Empty", 1, ""), ("Rome", 2, "A city."))
    dump.write_text(f"<mediawiki>{''.join(_PAGE.format(*page) for page in pages)}</mediawiki>")
    done = _build_dump(place, dump)
    entry = load_manifest(place.out).tables["pages"]
    assert (entry.rows, entry.drops) == (1, {"no_text": 1})
    return done


def unknown_qid(place: Place) -> Done:
    text = "[[Rome]] is known, [[Atlantis]] is no node, and [[Utopia]] has no item."
    files = {
        "dump.xml": f"<mediawiki>{_PAGE.format('Rome', 1, text)}</mediawiki>",
        "titles.tsv": "Rome\tQ1\nAtlantis\tQ9\n",
        "triples.txt": "Q1\tP1\tQ2\n",
        "labels.tsv": "Q1\ten\tRome\nQ9\ten\tAtlantis\n",
    }
    for name, content in files.items():
        (place.folder / name).write_text(content)
    wikipedia = f"{{lang: en, dump: {place.folder}/dump.xml, titles: [{place.folder}/titles.tsv]}}"
    graph = f"{{triples: [{place.folder}/triples.txt], labels: [{place.folder}/labels.tsv]}}"
    done = place.build_from(f"wikipedia: [{wikipedia}]\ngraph: {graph}\n", "entities", "linked_sentences")
    tables = load_manifest(place.out).tables
    assert tables["entities"].drops == {"not_in_graph": 1}
    drops = tables["linked_sentences"].drops
    assert (drops["link_outside_graph"], drops["link_without_item"]) == (1, 1)
    (shard,) = load_manifest(place.out).files(place.out, "linked_sentences")
    mentions = [m for row in pq.read_table(shard)["mentions"].to_pylist() for m in row]
    assert [mention["qid"] for mention in mentions] == ["Q1"]
    return done


def page_in_two_dumps(place: Place) -> Done:
    dump = _dump(place)
    again = place.folder / "again.xml"
    again.write_bytes(bz2.decompress(dump.read_bytes()))
    dumps = f"wikipedia: [{{lang: en, dump: [{dump}, {again}]}}]\n"
    return place.build_from(f"{dumps}repeated_inputs: allow\n", "pages")


def header(place: Place) -> Done:
    labels = place.folder / "labels.tsv"
    labels.write_text("qid\tlang\tlabel\nQ1\ten\tBerlin\n")
    (place.folder / "triples.txt").write_text("Q1\tP1\tQ2\n")
    graph = f"{{triples: [{place.folder}/triples.txt], labels: [{labels}]}}"
    return place.build_from(f"graph: {graph}\n", "entities")


def text_twice(place: Place) -> Done:
    for name in ("a.txt", "b.txt"):
        (place.folder / name).write_text("A text.\n")
    entries = ", ".join(f"{{lang: en, path: {place.folder}/{name}}}" for name in ("a.txt", "b.txt"))
    return place.build_from(f"text: [{entries}]\n", "pages")


FAULTS = (
    Fault("an unknown config key", "`cycles.per_pear`", 2, unknown_key),
    Fault("no such config file", "`--config absent.yaml`", 2, no_config),
    Fault("OUT in a store without conditional writes", "`--out hdfs://node/out`", 2, object_store),
    Fault("an unknown table", "`build-corpus tripels`", 2, unknown_table),
    Fault("a wrong path", "a triples file that is not there", 3, wrong_path),
    Fault("a missing column", "a line of two fields among the triples", 3, missing_column),
    Fault(
        "more bad input than allowed",
        "1 line of 4, `on_bad_input: quarantine`",
        3,
        missing_column_set_aside,
        "no table is committed; the line stands in quarantine/",
    ),
    Fault(
        "a malformed line set aside",
        "1 line of 201, `on_bad_input: quarantine`",
        0,
        one_bad_line,
        "the line stands in quarantine/ with its position, and is counted as `bad_input`",
    ),
    Fault("UTF-16", "a triples file", 3, utf16),
    Fault("another encoding", "Latin-1 among the labels", 3, latin1),
    Fault("a decompression bomb", "70 MiB of triples in 72 kB of .gz", 3, bomb),
    Fault("a truncated dump", "the last 500 bytes of a .bz2 cut off", 3, truncated_dump),
    Fault("a damaged dump", "one byte in the middle of a .bz2 flipped", 3, flipped_byte),
    Fault(
        "a dump truncated in a later block",
        "as above, of several blocks, without index",
        3,
        truncated_far_inside,
    ),
    Fault(
        "a dump damaged in a later block", "as above, of several blocks, without index", 3, flipped_far_inside
    ),
    Fault("broken XML", "an end tag misspelt", 3, broken_xml),
    Fault("XML entities", "ten levels of ten, declared in a DTD", 3, entity_expansion),
    Fault("XML entities in a second dump", "a whole dump named before it", 3, entities_in_a_second_dump),
    Fault(
        "a page without text", "an empty `<text>`", 0, page_without_text, "left out, and counted as `no_text`"
    ),
    Fault(
        "an unknown QID",
        "in a title and a label, not in a triple; and a link without item",
        0,
        unknown_qid,
        "no mention, no entity; counted as `link_outside_graph`, `not_in_graph`, `link_without_item`",
    ),
    Fault(
        "one page in two dumps of a language",
        "the same dump, packed and not, `repeated_inputs: allow`",
        3,
        page_in_two_dumps,
    ),
    Fault("a header line", "`qid lang label` among the labels", 3, header),
    Fault("an input named twice", "two text files of equal bytes", 3, text_twice),
)
