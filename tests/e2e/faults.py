"""The fault table: what goes wrong, how it is brought about, and what the user sees."""

import bz2
import contextlib
import gzip
import hashlib
import json
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.demo.dumps import write_dumps
from tests.e2e.commands import ONE_CORE, bytes_of, command, run, sets

Done = subprocess.CompletedProcess[str]
# A shard whose write must fail on a disk that holds all before it.
_SMALL_DISK = "500k"
_TO_XLR = ("entities", "relations", "cycles", "rules", "xlr")


@dataclass
class Place:
    """Where one fault happens: an empty folder, and a finished build to compare with."""

    folder: Path
    built: Path

    @property
    def out(self) -> Path:
        return self.folder / "OUT"

    def copy(self) -> Path:
        """The finished build as OUT; no file shares its disk blocks."""
        shutil.copytree(self.built, self.out)
        return self.out

    def build(self, *words: str, out: Path | None = None) -> Done:
        return run("build-corpus", "--out", out or self.out, *sets(*ONE_CORE), *words)

    def build_from(self, text: str, *words: str) -> Done:
        """Build with a configuration of our own."""
        (self.folder / "config.yaml").write_text(text)
        return self.build(*words, "--config", str(self.folder / "config.yaml"))

    def train(self, corpus: Path, *words: str) -> Done:
        return run(
            "train", "kmlm", "--corpus", corpus, "--out", self.folder / "RUN", "--max-steps", "2", *words
        )

    def ends_alike(self, *targets: str, out: Path | None = None) -> None:
        """The same command, run again, gives the finished build's bytes."""
        out = out or self.out
        done = self.build(*targets, out=out)
        assert done.returncode == 0, done.stderr
        made, whole = bytes_of(out), bytes_of(self.built)
        if targets:
            # The manifest of a part names part of the tables.
            del made["manifest.json"]
            tables = [load_manifest(folder).tables for folder in (out, self.built)]
            assert set(targets) <= tables[0].keys()
            assert tables[0].items() <= tables[1].items()
            assert made.items() <= whole.items()
        else:
            assert made == whole


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        name: what is wrong.
        tried: how it is brought about.
        code: the exit code.
        provoke: brings it about, and checks what holds afterwards.
        after: what holds afterwards.
    """

    name: str
    tried: str
    code: int
    provoke: Callable[[Place], Done]
    after: str = "no table is written"


def shown(done: Done, place: Place) -> str:
    """The one line that the user sees, without what differs from run to run."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error:", "WARNING "))]
    text = lines[-1] if lines else "(nothing)"
    text = text.replace(str(place.folder.resolve()) + "/", "").replace(str(place.folder) + "/", "")
    text = text.replace(str(place.folder.resolve()), "FOLDER").replace(str(place.folder), "FOLDER")
    text = re.sub(r"/\S*/(kgcorpus/demo/world/)", r"\1", text)
    text = re.sub(r"\.([\w.-]+?)\.\d+-[0-9a-f]{8}\.tmp", r"\1", text)
    text = re.sub(r"/[0-9a-f]{12}/", "/FINGERPRINT/", text)
    text = re.sub(r"(The tables are: ).*", r"\1...", text)
    text = re.sub(r"(cannot be read \().*?(\)\. )", r"\1...\2", text)
    return re.sub(r"\b(process|byte|char|column|line|page_id) \d+\b", r"\1 N", text)


def unknown_key(place: Place) -> Done:
    return place.build_from("cycles: {per_pear: 3}\n")


def no_config(place: Place) -> Done:
    return place.build("--config", str(place.folder / "absent.yaml"))


def object_store(place: Place) -> Done:
    return run("build-corpus", "--out", "s3://bucket/out")


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
    done = place.build_from(f"graph: {graph}\n", "entities")
    manifest = load_manifest(place.out)
    assert list(manifest.tables) == ["triples"]
    manifest.check_files(place.out, ("triples",))
    return done


def bomb(place: Place) -> Done:
    triples = place.folder / "triples.txt.gz"
    triples.write_bytes(gzip.compress((b"Q1\tP1\tQ2\t" + b"x" * (1 << 20) + b"\n") * 70))
    return place.build_from(f"graph: {{triples: [{triples}]}}\n", "triples")


def _dump(place: Place) -> Path:
    write_dumps(place.folder)
    return next(place.folder.glob("enwiki*"))


def _build_dump(place: Place, dump: Path) -> Done:
    return place.build_from(f"wikipedia: [{{lang: en, dump: {dump}}}]\n", "pages")


def truncated_dump(place: Place) -> Done:
    dump = _dump(place)
    dump.write_bytes(dump.read_bytes()[:-500])
    return _build_dump(place, dump)


def flipped_byte(place: Place) -> Done:
    dump = _dump(place)
    data = bytearray(dump.read_bytes())
    data[len(data) // 2] ^= 0xFF
    dump.write_bytes(data)
    return _build_dump(place, dump)


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
    dump = _of_blocks(place)
    dump.write_bytes(dump.read_bytes()[:-500])
    return _build_dump(place, dump)


def flipped_far_inside(place: Place) -> Done:
    dump = _of_blocks(place)
    data = bytearray(dump.read_bytes())
    data[-(len(data) // 8)] ^= 0xFF
    dump.write_bytes(data)
    return _build_dump(place, dump)


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


def own_files_in_out(place: Place) -> Done:
    write_dumps(place.out / "data")
    before = _files(place.out)
    (dump,) = (place.out / "data").glob("enwiki*pages*")
    done = _build_dump(place, dump)
    assert _files(place.out) == before
    return done


def input_in_out(place: Place) -> Done:
    triples = place.copy() / "tables" / "triples.txt"
    triples.write_text("Q1\tP1\tQ2\n")
    before = _files(place.out)
    done = place.build_from(f"graph: {{triples: [{triples}]}}\n", "triples")
    assert _files(place.out) == before
    return done


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def page_in_two_dumps(place: Place) -> Done:
    dump = _dump(place)
    again = Path(shutil.copy(dump, place.folder / "again.xml.bz2"))
    return place.build_from(f"wikipedia: [{{lang: en, dump: [{dump}, {again}]}}]\n", "pages")


def other_manifest(place: Place) -> Done:
    place.out.mkdir()
    (place.out / "manifest.json").write_text('{"format": 99}')
    return place.build()


def half_manifest(place: Place) -> Done:
    place.out.mkdir()
    text = (place.built / "manifest.json").read_text()
    # After a colon, so that what JSON's parser says does not depend on the manifest's length.
    (place.out / "manifest.json").write_text(text[: text.index(":", len(text) // 2) + 1])
    return place.build()


def no_folder(place: Place) -> Done:
    place.out.write_text("a file where the folder should be")
    return place.build()


def two_builds(place: Place) -> Done:
    with _another_build(place) as first:
        done = place.build()
        assert first.poll() is None
    return done


def dead_owner(place: Place) -> Done:
    place.copy()
    with _another_build(place, "cycles", "--force") as other:
        pass
    assert other.returncode == -signal.SIGKILL
    assert (place.out / ".lock").read_text() == str(other.pid)
    place.ends_alike()
    return place.build()


@contextlib.contextmanager
def _another_build(place: Place, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A build that holds OUT's lock, killed at the end."""
    words = command("build-corpus", "--out", place.out, *words)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        lock = place.out / ".lock"
        while not (lock.exists() and lock.read_text() == str(other.pid)):
            time.sleep(0.05)
        yield other
        other.send_signal(signal.SIGKILL)


def full_disk(place: Place) -> Done:
    with _small_disk(place) as disk:
        done = place.build(*_TO_XLR, out=disk / "OUT")
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        place.ends_alike(*_TO_XLR, out=disk / "OUT")
    return done


def full_disk_in_training(place: Place) -> Done:
    with _small_disk(place) as disk:
        done = run("train", "kmlm", "--corpus", place.built, "--out", disk / "RUN", "--max-steps", "2")
        assert not list((disk / "RUN").glob("checkpoints/step-*"))
        return done


@contextlib.contextmanager
def _small_disk(place: Place) -> Iterator[Path]:
    disk = place.folder / "DISK"
    disk.mkdir()
    size = f"size={_SMALL_DISK}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=True, capture_output=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def file_size_limit(place: Place) -> Done:
    # Half of the largest shard; whole shards before it stay.
    largest = max(path.stat().st_size for path in (place.built / "data").rglob("*.parquet"))
    words = command("build-corpus", "code_switched", "--out", place.out, *sets(*ONE_CORE))
    limit = (largest // 2, resource.RLIM_INFINITY)
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    place.ends_alike("code_switched")
    return done


def dead_jvm(place: Place) -> Done:
    words = command("build-corpus", "code_switched", "--out", place.out, *sets(*ONE_CORE))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as build:
        while build.poll() is None and not list(place.out.glob("tables/code_switched/*/.*.tmp")):
            time.sleep(0.005)
        (jvm,) = (child for child in psutil.Process(build.pid).children() if child.name() == "java")
        jvm.kill()
        said, errors = build.communicate()
    place.ends_alike("code_switched")
    return Done(words, build.returncode, said, errors)


def truncated_table(place: Place) -> Done:
    out = place.copy()
    for shard in (out / "tables" / "cycles").rglob("*.parquet"):
        shard.write_bytes(shard.read_bytes()[:-20])
    done = place.build()
    assert bytes_of(out) == bytes_of(place.built)
    return done


def damaged_table(place: Place) -> Done:
    out = place.copy()
    (shard,) = (out / "tables" / "linked_sentences").rglob("*.parquet")
    data = bytearray(shard.read_bytes())
    data[200:400] = bytes(200)
    shard.write_bytes(data)
    done = place.build("passages", "--force")
    shard.unlink()
    place.ends_alike()
    return done


def damaged_published(place: Place) -> Done:
    shard = _damage_reasoning(place.copy())
    done = place.build()
    shard.unlink()
    place.ends_alike()
    return done


def _damage_reasoning(out: Path) -> Path:
    """Damage all pages of a published shard; its length and its footer stay."""
    shard = next((out / "data" / "reasoning").glob("train-*"))
    data = bytearray(shard.read_bytes())
    footer = 8 + int.from_bytes(data[-8:-4], "little")
    data[4:-footer] = bytes(len(data) - 4 - footer)
    shard.write_bytes(data)
    return shard


def no_such_master(place: Place) -> Done:
    return place.build("triples", "--set", "spark.master=locl[2]")


def _cut_short(place: Place) -> Path:
    """A finished build, and over it one that made other triples before it met bad input."""
    out = place.copy()
    triples = place.folder / "triples.txt"
    labels = place.folder / "labels.tsv"
    triples.write_text("Q1\tP1\tQ2\n")
    labels.write_text("Q1\tde\tKöln\n", encoding="latin-1")
    failed = place.build_from(f"graph: {{triples: [{triples}], labels: [{labels}]}}\n")
    assert failed.returncode == InputError.exit_code, failed.stderr
    return out


def publishing_after_a_build_cut_short(place: Place) -> Done:
    done = run("publish", "--out", _cut_short(place), "--to", f"file://{place.folder}/store")
    assert not (place.folder / "store").exists()
    return done


def corpus_not_built(place: Place) -> Done:
    return place.train(place.folder)


def truncated_shard_in_training(place: Place) -> Done:
    out = place.copy()
    shard = next((out / "data" / "reasoning").glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-20])
    return place.train(out)


def damaged_shard_in_training(place: Place) -> Done:
    out = place.copy()
    _damage_reasoning(out)
    return place.train(out)


def training_after_a_build_cut_short(place: Place) -> Done:
    done = place.train(_cut_short(place))
    # The former build's inputs, and its end.
    place.ends_alike()
    return done


def missing_column_in_training(place: Place) -> Done:
    out = place.copy()
    shard = next((out / "data" / "reasoning").glob("train-*"))
    pq.write_table(pq.read_table(shard).drop_columns(["slots"]), shard)
    manifest = json.loads((out / "manifest.json").read_text())
    for file in manifest["tables"]["reasoning"]["files"]:
        if file["path"].endswith(shard.name):
            file["bytes"] = shard.stat().st_size
    (out / "manifest.json").write_text(json.dumps(manifest))
    return place.train(out)


def too_few_steps(place: Place) -> Done:
    assert place.train(place.built).returncode == 0
    before = (place.folder / "RUN" / "model" / "model.safetensors").read_bytes()
    done = place.train(place.built, "--max-steps", "1")
    assert (place.folder / "RUN" / "model" / "model.safetensors").read_bytes() == before
    return done


NO_MODEL = "no model is written"
EVERY_FILE = "every file stays"
SAME = "the same command ends with the same bytes"
FAULTS = (
    Fault("an unknown config key", "`cycles.per_pear`", 2, unknown_key),
    Fault("no such config file", "`--config absent.yaml`", 2, no_config),
    Fault("OUT at a URL", "`--out s3://bucket/out`", 2, object_store),
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
    Fault("another encoding", "Latin-1 among the labels", 3, latin1, "the tables before it stay"),
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
    Fault("one page in two dumps of a language", "the same dump under two names", 3, page_in_two_dumps),
    Fault("a manifest of another version", "`format: 99`", 3, other_manifest),
    Fault("half a manifest", "the file cut in the middle", 3, half_manifest),
    Fault("no folder to write to", "OUT is a file", 4, no_folder),
    Fault("files of the user's own in OUT", "dumps in OUT/data, no build", 2, own_files_in_out, EVERY_FILE),
    Fault("an input in a build's folder", "triples in OUT/tables", 2, input_in_out, EVERY_FILE),
    Fault("two builds at once", "a second one while the first holds OUT", 2, two_builds, "the first goes on"),
    Fault("a dead owner's lock", "SIGKILL to the owner", 0, dead_owner, "taken over; " + SAME),
    Fault("a full disk", f"OUT on a disk of {_SMALL_DISK}B", 4, full_disk, SAME + " once there is room"),
    Fault("a dead JVM", "SIGKILL to it while a shard is written", 4, dead_jvm, SAME),
    Fault("a file size limit", "`ulimit -f` under the size of a shard", 4, file_size_limit, SAME),
    Fault(
        "a truncated table",
        "20 bytes cut off every shard of `cycles`",
        0,
        truncated_table,
        "built again; same bytes",
    ),
    Fault(
        "a damaged table", "200 bytes of `linked_sentences` zeroed, the length kept", 3, damaged_table, SAME
    ),
    Fault("a damaged published shard", "all pages of one of `reasoning` zeroed", 3, damaged_published, SAME),
    Fault("no such Spark master", "`spark.master=locl[2]`", 4, no_such_master),
    Fault(
        "publishing after a build cut short",
        "other triples built, then labels that are not UTF-8",
        3,
        publishing_after_a_build_cut_short,
        "nothing is sent",
    ),
    Fault("training without a build", "`--corpus` an empty folder", 3, corpus_not_built, NO_MODEL),
    Fault("training on a truncated shard", "20 bytes cut off", 3, truncated_shard_in_training, NO_MODEL),
    Fault(
        "training on a damaged shard",
        "all pages zeroed, the length kept",
        3,
        damaged_shard_in_training,
        NO_MODEL,
    ),
    Fault(
        "training after a build cut short",
        "other triples built, then labels that are not UTF-8",
        3,
        training_after_a_build_cut_short,
        "no model is written; the former build, run again, ends with the same bytes",
    ),
    Fault(
        "training on a shard without a column",
        "`slots` left out, the manifest adapted",
        3,
        missing_column_in_training,
        NO_MODEL,
    ),
    Fault(
        "a full disk in training",
        f"RUN on a disk of {_SMALL_DISK}B",
        4,
        full_disk_in_training,
        "no half checkpoint",
    ),
    Fault("fewer steps than are done", "`--max-steps 1` after 2", 2, too_few_steps, "RUN/model stays"),
)
