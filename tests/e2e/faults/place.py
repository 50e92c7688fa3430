"""What a fault is, where it happens, and what several of them share."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from tests.e2e.commands import ONE_CORE, bytes_of, run, sets

Done = subprocess.CompletedProcess[str]
# A shard whose write must fail on a disk that holds all before it.
SMALL_DISK = "500k"
NO_MODEL = "no model is written"
EVERY_FILE = "every file stays"
SAME = "the same command ends with the same bytes"


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


@contextlib.contextmanager
def small_disk(place: Place) -> Iterator[Path]:
    disk = place.folder / "DISK"
    disk.mkdir()
    size = f"size={SMALL_DISK}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=True, capture_output=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def damage_reasoning(out: Path) -> Path:
    """Damage all pages of a published shard; its length and its footer stay."""
    shard = next((out / "data" / "reasoning").glob("train-*"))
    data = bytearray(shard.read_bytes())
    footer = 8 + int.from_bytes(data[-8:-4], "little")
    data[4:-footer] = bytes(len(data) - 4 - footer)
    shard.write_bytes(data)
    return shard


def cut_short(place: Place) -> Path:
    """A finished build, and over it one that made other triples before it met bad input."""
    out = place.copy()
    triples = place.folder / "triples.txt"
    labels = place.folder / "labels.tsv"
    triples.write_text("Q1\tP1\tQ2\n")
    # Behind the records that are checked before the first stage.
    good = "".join(f"Q{i}\tde\tUlm\n" for i in range(10_001))
    labels.write_text(f"{good}Q1\tde\tKöln\n", encoding="latin-1")
    failed = place.build_from(f"graph: {{triples: [{triples}], labels: [{labels}]}}\n")
    assert failed.returncode == InputError.exit_code, failed.stderr
    return out
