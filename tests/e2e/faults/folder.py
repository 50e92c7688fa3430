"""Faults of a build's folder, its disk and its processes."""

import contextlib
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from kgcorpus.demo.dumps import write_dumps
from tests.e2e.commands import ONE_CORE, bytes_of, command, run, sets
from tests.e2e.faults.place import (
    EVERY_FILE,
    SAME,
    SMALL_DISK,
    Done,
    Fault,
    Place,
    cut_short,
    damage_reasoning,
    small_disk,
)

_TO_XLR = ("entities", "relations", "cycles", "rules", "xlr")


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


def own_files_in_out(place: Place) -> Done:
    write_dumps(place.out / "data")
    before = _files(place.out)
    (dump,) = (place.out / "data").glob("enwiki*pages*")
    done = place.build_from(f"wikipedia: [{{lang: en, dump: {dump}}}]\n", "pages")
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
    started = command("build-corpus", "--out", place.out, *words)
    with subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        lock = place.out / ".lock"
        while not (lock.exists() and lock.read_text() == str(other.pid)):
            time.sleep(0.05)
        yield other
        other.send_signal(signal.SIGKILL)


def full_disk(place: Place) -> Done:
    with small_disk(place) as disk:
        done = place.build(*_TO_XLR, out=disk / "OUT")
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        place.ends_alike(*_TO_XLR, out=disk / "OUT")
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


def file_size_limit(place: Place) -> Done:
    # Half of the largest shard of the table; its other shards stay.
    largest = max(path.stat().st_size for path in (place.built / "data" / "code_switched").iterdir())
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
    assert bytes_of(out) == bytes_of(place.built)
    return done


def damaged_published(place: Place) -> Done:
    damage_reasoning(place.copy())
    done = place.build()
    assert bytes_of(place.out) == bytes_of(place.built)
    return done


def publishing_a_damaged_shard(place: Place) -> Done:
    damage_reasoning(place.copy())
    done = run("publish", "--out", place.out, "--to", f"file://{place.folder}/store")
    assert not (place.folder / "store").exists()
    return done


def no_such_master(place: Place) -> Done:
    return place.build("triples", "--set", "spark.master=locl[2]")


def publishing_after_a_build_cut_short(place: Place) -> Done:
    done = run("publish", "--out", cut_short(place), "--to", f"file://{place.folder}/store")
    assert not (place.folder / "store").exists()
    return done


FAULTS = (
    Fault("a manifest of another version", "`format: 99`", 3, other_manifest),
    Fault("half a manifest", "the file cut in the middle", 3, half_manifest),
    Fault("no folder to write to", "OUT is a file", 4, no_folder),
    Fault("files of the user's own in OUT", "dumps in OUT/data, no build", 2, own_files_in_out, EVERY_FILE),
    Fault("an input in a build's folder", "triples in OUT/tables", 2, input_in_out, EVERY_FILE),
    Fault(
        "two builds at once", "a second one while the first holds OUT", 2, two_builds, "the first continues"
    ),
    Fault("a dead owner's lock", "SIGKILL to the owner", 0, dead_owner, "taken over; " + SAME),
    Fault("a full disk", f"OUT on a disk of {SMALL_DISK}B", 4, full_disk, SAME + " once there is room"),
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
        "a damaged table",
        "200 bytes of `linked_sentences` zeroed, the length kept",
        0,
        damaged_table,
        "built again; same bytes",
    ),
    Fault(
        "a damaged published shard",
        "all pages of one of `reasoning` zeroed",
        0,
        damaged_published,
        "built again; same bytes",
    ),
    Fault(
        "publishing a damaged shard",
        "all pages of one of `reasoning` zeroed",
        3,
        publishing_a_damaged_shard,
        "nothing is sent",
    ),
    Fault("no such Spark master", "`spark.master=locl[2]`", 4, no_such_master),
    Fault(
        "publishing after a build cut short",
        "other triples built, then labels that are not UTF-8",
        3,
        publishing_after_a_build_cut_short,
        "nothing is sent",
    ),
)
