"""A whole build, stage by stage, beside the kernels alone: `python benchmarks/build.py --megabytes 40`.

The inputs are grown by `corpus_generator.py`. CPU seconds are those of the JVM, its Python workers and this
process together, those that have ended included (/proc). Peak memory is the sum of the proportional set
sizes; both are read twice a second. Shuffled bytes are Spark's own, from its event log. After the build,
the kernels of each stage run alone in this process, on the build's own tables: the library's functions
that the stage cannot do without, and writing its rows to Parquet. `--before FILE` shows an older result
beside.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from contenders import tree
from corpus_generator import LANGUAGES, Corpus, grow
from mining import memory_mib

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
_TICKS = os.sysconf("SC_CLK_TCK")
_BATCH = 10_000
Row = dict[str, Any]


def own_ticks() -> dict[int, int]:
    """Process id -> ticks of CPU time, of this process and its descendants."""
    found = {}
    for pid in tree():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[pid] = sum(map(int, fields[11:13]))
    return found


class Peak(threading.Thread):
    """The most memory that this process and its descendants had since `reset`, in MiB; and their CPU time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib = 0
        self._ticks: dict[int, int] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self.mib = max(self.mib, sum(map(memory_mib, tree())))
            self.cpu_seconds()
            time.sleep(0.5)

    def cpu_seconds(self) -> float:
        """Of this process and its descendants. One that has ended counts with what it was last seen with.

        Spark's daemon ignores SIGCHLD, so the kernel adds the time of its workers to no parent.
        """
        with self._lock:
            self._ticks.update(own_ticks())
            return sum(self._ticks.values()) / _TICKS

    def reset(self) -> int:
        """Start anew; returns the peak so far."""
        peak, self.mib = self.mib, 0
        return peak


class Stages:
    """Collects a row a stage while a build runs."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._peak = Peak()
        self._peak.start()
        self._cpu, self._at = self._peak.cpu_seconds(), time.time()

    def note(self, stage: str, rows: int = 0) -> None:
        """A stage has ended."""
        cpu, at = self._peak.cpu_seconds(), time.time()
        self.rows.append(
            {
                "stage": stage,
                "rows": rows,
                "cpu_seconds": round(cpu - self._cpu, 2),
                "wall_seconds": round(at - self._at, 2),
                "peak_mib": self._peak.reset(),
                "ended": at,
            }
        )
        self._cpu, self._at = cpu, at


def configuration(inputs: Path, events: Path, arguments: argparse.Namespace) -> Row:
    """The build's configuration."""
    return {
        "languages": list(LANGUAGES),
        "graph": {name: [str(inputs / file)] for name, file in _GRAPH.items()},
        "wikipedia": [
            {
                "lang": "en",
                "dump": [str(inputs / "wiki.xml.bz2")],
                "index": [str(inputs / "index.txt.bz2")],
                "titles": [str(inputs / "titles.tsv")],
            }
        ],
        "importance": {"encoder": str(HERE.parent / "kgcorpus" / "demo" / "world" / "encoder")},
        "spark": {
            "master": arguments.master,
            "partitions": arguments.partitions,
            "memory": arguments.memory,
            "conf": {
                "spark.eventLog.enabled": "true",
                "spark.eventLog.dir": events.as_uri(),
                "spark.eventLog.rolling.enabled": "false",
                "spark.eventLog.compress": "false",
            },
        },
    }


_GRAPH = {"triples": "triples.txt", "labels": "labels.tsv", "relations": "relations.tsv"}


def build(inputs: Path, out: Path, events: Path, arguments: argparse.Namespace) -> list[Row]:
    """Build, and return a row a stage; the first is Spark's start."""
    from kgcorpus.config import BuildConfig
    from pipelines import runner
    from pipelines.session import create_session

    events.mkdir(exist_ok=True)
    config = BuildConfig.model_validate(configuration(inputs, events, arguments))
    stages = Stages()
    session = create_session(config.spark, log=events.with_name("spark.log"))
    # The first job of a session compiles and starts a worker.
    session.range(8).repartition(2).mapInArrow(_same, "id long").collect()
    stages.note("Spark's start")
    runner.build(
        config, out, targets=arguments.targets, on_stage=lambda done: stages.note(done.stage, done.rows)
    )
    stages.note("report")
    session.stop()
    for row, found in zip(stages.rows, shuffled(events, stages.rows), strict=True):
        row["shuffled_bytes"] = found
    return stages.rows


def _same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def shuffled(events: Path, stages: list[Row]) -> list[int]:
    """Bytes that tasks wrote for a shuffle, by the stage in whose time they ended."""
    found = [0] * len(stages)
    for log in events.iterdir():
        for line in log.open(encoding="utf-8"):
            if not line.startswith('{"Event":"SparkListenerTaskEnd"'):
                continue
            task = json.loads(line)
            ended = task["Task Info"]["Finish Time"] / 1000
            place = next((i for i, row in enumerate(stages) if ended <= row["ended"]), -1)
            metrics = task.get("Task Metrics") or {}
            found[place] += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return found


class Kernels:
    """What each stage cannot do without, on the tables of a finished build."""

    def __init__(self, inputs: Path, out: Path) -> None:
        from kgcorpus.contracts.manifest import load_manifest
        from pipelines.lookup import names_of

        self._inputs, self._out = inputs, out
        self._manifest = load_manifest(out)
        self._names = tuple(
            names_of(tuple(self._manifest.files(out, name)), key)
            for name, key in (("entities", "qid"), ("relations", "pid"))
            if name in self._manifest.tables
        )

    def seconds(self, stage: str) -> tuple[str, float] | None:
        """(what was run, CPU seconds); None: no kernel is named for the stage."""
        work = getattr(self, f"_{stage}", None)
        if work is None:
            return None
        if stage in ("code_switched", "reasoning"):
            # Compiled code is loaded once a process.
            work(limit=1)
        tables = self._read(stage)
        started = time.process_time()
        work()
        self._write(tables)
        return f"{work.__doc__.split('.')[0]}; Parquet", time.process_time() - started

    def _read(self, name: str) -> Iterator[pa.RecordBatch]:
        for path in self._manifest.files(self._out, name):
            with pq.ParquetFile(path, memory_map=True) as file:
                yield from file.iter_batches(_BATCH)

    def _write(self, batches: Iterator[pa.RecordBatch]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            writer = None
            for batch in batches:
                path = Path(folder) / "all.parquet"
                writer = writer or pq.ParquetWriter(
                    path, batch.schema, compression="zstd", compression_level=3
                )
                writer.write_batch(batch)
            if writer:
                writer.close()

    def _triples(self) -> None:
        """Reader of lines."""
        from kgcorpus.kg.readers import parse_triple

        self._lines("triples.txt", parse_triple)

    def _entities(self) -> None:
        """Reader of lines."""
        from kgcorpus.kg.readers import parse_names

        self._lines("labels.tsv", parse_names)

    def _lines(self, file: str, parse: Callable[[str], Any]) -> None:
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.inputs import read_records, refuse

        for _ in read_records(str(self._inputs / file), parse, tally=Tally(), on_bad=refuse):
            pass

    def _code_switched(self, limit: int | None = None) -> None:
        """Rendering."""
        from kgcorpus.codeswitch import code_switched_batches

        self._render("triples", code_switched_batches, limit)

    def _reasoning(self, limit: int | None = None) -> None:
        """Rendering."""
        from kgcorpus.records.kmlm import reasoning_batches

        self._render("cycles", reasoning_batches, limit)

    def _render(self, name: str, render: Callable[..., Iterator[pa.RecordBatch]], limit: int | None) -> None:
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.records.kmlm import with_split

        names, relations = self._names
        for number, batch in enumerate(self._read(name)):
            if number == limit:
                return
            for _ in render(
                with_split(batch, seed=0),
                names=names,
                relations=relations,
                languages=LANGUAGES,
                seed=0,
                tally=Tally(),
            ):
                pass

    def _pages(self) -> None:
        """Unpacking, XML, parser."""
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.inputs import DEFAULT_LIMITS, open_input, refuse
        from kgcorpus.wiki.dump import read_site
        from kgcorpus.wiki.multistream import read_index, read_streams
        from kgcorpus.wiki.pages import page_rows

        dump = str(self._inputs / "wiki.xml.bz2")
        with open_input(dump, limits=DEFAULT_LIMITS) as stream:
            site = read_site(stream, lang="en")
        streams = read_index(str(self._inputs / "index.txt.bz2"), dump)
        tally = Tally()
        pages = read_streams(dump, streams, tally=tally, limits=DEFAULT_LIMITS, on_bad=refuse)
        for _ in page_rows(pages, site=site, tally=tally):
            pass

    def _linked_sentences(self) -> None:
        """Sentences and links."""
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.linking.anchors import link_page

        titles = {row["title"]: row["qid"] for batch in self._read("titles") for row in batch.to_pylist()}
        for batch in self._read("pages"):
            for page in batch.to_pylist():
                for link in page["links"]:
                    link["qid"] = titles.get(link["target"])
                for _ in link_page(page, tally=Tally()):
                    pass

    def _passages(self) -> None:
        """Sentences, tokenizer."""
        from pipelines.lookup import token_counter

        count = token_counter(str(HERE.parent / "kgcorpus" / "demo" / "world" / "encoder")).count
        for batch in self._read("linked_sentences"):
            count(batch.column("text").to_pylist())

    def _plain_text(self) -> None:
        """Columns."""
        for _ in self._read("passages"):
            pass

    _jaket_text = _trelm = _plain_text


def compare(stages: list[Row], kernels: Kernels | None) -> None:
    """Add the kernels' seconds and the costs a row."""
    for row in stages:
        if row["rows"]:
            row["us_a_row"] = round(1e6 * row["cpu_seconds"] / row["rows"], 2)
        if kernels and row["rows"] and (found := kernels.seconds(row["stage"])):
            row["kernels"], row["kernel_seconds"] = found[0], round(found[1], 2)
            row["times_its_kernels"] = round(row["cpu_seconds"] / max(found[1], 0.01), 2)


def table(result: Row, before: Row | None) -> str:
    """The result as Markdown."""
    sizes, stages = result["sizes"], result["stages"]
    old = {row["stage"]: row["cpu_seconds"] for row in before["stages"]} if before else {}
    lines = [
        f"# A build of {sizes['xml_bytes'] / 1e6:.0f} MB and {sizes['triples']:,} triples",
        "",
        f"`{result['command']}`: {sizes['pages']:,} pages, {sizes['entities']:,} entities, "
        f"{sizes['label_lines']:,} lines of labels. CPU seconds of all processes; kernels alone, same run."
        + (f" {result['note']}" if result["note"] else ""),
        "",
        f"| stage | rows |{' CPU s before |' * bool(old)} CPU s | wall s | µs a row | kernels alone, CPU s "
        "| times its kernels | shuffled MB | peak MiB |",
        f"|---|---|{'---|' * bool(old)}---|---|---|---|---|---|---|",
    ]
    for row in stages:
        cells = [
            row["stage"],
            f"{row['rows']:,}" if row["rows"] else "",
            *([old.get(row["stage"], "")] if old else []),
            row["cpu_seconds"],
            row["wall_seconds"],
            row.get("us_a_row", ""),
            f"{row['kernel_seconds']} ({row['kernels']})" if "kernels" in row else "",
            row.get("times_its_kernels", ""),
            f"{row['shuffled_bytes'] / 1e6:,.1f}",
            f"{row['peak_mib']:,}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    cpu, wall, moved = (
        sum(row[name] for row in stages) for name in ("cpu_seconds", "wall_seconds", "shuffled_bytes")
    )
    peak = max(row["peak_mib"] for row in stages)
    past = f" {sum(old.values()):.1f} |" if old else ""
    lines.append(f"| all | |{past} {cpu:.1f} | {wall:.1f} | | | | {moved / 1e6:,.1f} | {peak:,} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Read the command line, grow, build, time the kernels, write JSON and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("KGCORPUS_TEST_DATA"), help="has demo-small"
    )
    parser.add_argument("--megabytes", type=float, default=40.0, help="of XML")
    parser.add_argument("--triples", type=int, default=366_707)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", default=[])
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--memory", default="2g")
    parser.add_argument("--work", type=Path, help="folder that keeps the inputs; default: a temporary one")
    parser.add_argument("--before", type=Path, help="JSON of an older run")
    parser.add_argument("--note", default="", help="a sentence on the conditions of the run")
    parser.add_argument("--out", type=Path, help="stem of the results; default: results/build-SIZEm")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name --data, or set KGCORPUS_TEST_DATA")
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        inputs, out, events = work / "inputs", work / "out", work / "events"
        if not (inputs / "sizes.json").exists():
            grow(Corpus(Path(arguments.data), arguments.megabytes, arguments.triples, arguments.seed), inputs)
        for folder in (out, events):
            shutil.rmtree(folder, ignore_errors=True)
        stages = build(inputs, out, events, arguments)
        kernels = Kernels(inputs, out)
        compare(stages, kernels)
        result = {
            "command": shlex.join(["python", "benchmarks/build.py", *sys.argv[1:]]),
            "note": arguments.note,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "pyarrow": pa.__version__,
            "sizes": json.loads((inputs / "sizes.json").read_text()),
            "stages": [{name: value for name, value in row.items() if name != "ended"} for row in stages],
        }
    stem = arguments.out or HERE / "results" / f"build-{arguments.megabytes:g}m"
    before = json.loads(arguments.before.read_text()) if arguments.before else None
    text = table(result, before)
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
