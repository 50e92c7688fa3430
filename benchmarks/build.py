"""A whole build, stage by stage, beside its kernels: `python benchmarks/build.py --megabytes 40`.

The inputs are grown by `corpus_generator.py`. CPU seconds are those of the JVM, its Python workers and this
process together, those that have ended included (/proc). Peak memory is the sum of the proportional set
sizes; both are read twice a second. Shuffled bytes are Spark's own, from its event log. After the build,
the kernels of each stage run in this process, on the build's own tables: the library's functions
that the stage cannot do without, and writing its rows to Parquet. `--before FILE` shows an older result
beside. `--costs` also writes the costs from which `kgcorpus plan --estimate` computes.
"""

import argparse
import bz2
import json
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from build_kernels import Kernels
from corpus_generator import LANGUAGES, Corpus, grow
from processes import Peak

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
Row = dict[str, Any]


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


def compare(stages: list[Row], kernels: Kernels | None) -> None:
    """Add the kernels' seconds and the costs a row."""
    for row in stages:
        if row["rows"]:
            row["us_a_row"] = round(1e6 * row["cpu_seconds"] / row["rows"], 2)
        if kernels and row["rows"] and (found := kernels.seconds(row["stage"])):
            row["kernels"], row["kernel_seconds"] = found[0], round(found[1], 2)
            row["times_its_kernels"] = round(row["cpu_seconds"] / max(found[1], 0.01), 2)


def add_bytes(stages: list[Row], out: Path) -> None:
    """Add the size of each stage's table on disk."""
    from kgcorpus.contracts.manifest import load_manifest

    tables = load_manifest(out).tables
    for row in stages:
        if row["stage"] in tables:
            row["bytes"] = sum(file.bytes for file in tables[row["stage"]].files)


def costs(result: Row, inputs: Path, out: Path) -> Row:
    """What `pipelines/costs.json` holds: sizes of the unpacked inputs, and what each stage cost for them."""
    from kgcorpus.contracts.manifest import load_manifest

    sizes = {name: (inputs / file).stat().st_size for name, file in _GRAPH.items()}
    texts = (
        pc.sum(pc.binary_length(pq.read_table(file, columns=["text"]).column("text"))).as_py() or 0
        for file in load_manifest(out).files(out, "pages")
    )
    packed = (inputs / "wiki.xml.bz2").read_bytes()
    started = time.process_time()
    plain = len(bz2.decompress(packed))
    unpacking = time.process_time() - started
    decoding = json.loads((HERE / "results" / "wikidata.json").read_text())["mb_per_cpu_second"]["now"]
    stages = {row["stage"]: row for row in result["stages"]}
    start, report = stages.pop("Spark's start"), stages.pop("report")
    names = ("rows", "cpu_seconds", "bytes", "shuffled_bytes")
    return {
        "command": result["command"],
        "machine": f"{result['machine']}, {result['cores']} cores",
        "inputs": {**sizes, "articles": plain, "text": sum(texts), "languages": len(LANGUAGES)},
        "start_seconds": round(start["cpu_seconds"] + report["cpu_seconds"], 1),
        "peak_mib_per_core": round(max(row["peak_mib"] for row in result["stages"]) / result["tasks"]),
        "bz2_plain_bytes_per_packed_byte": round(plain / len(packed), 2),
        "wikidata_cpu_seconds_per_byte": 1 / (1e6 * decoding) + unpacking / plain,
        "stages": {name: {key: row[key] for key in names} for name, row in stages.items()},
    }


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
    parser.add_argument("--costs", action="store_true", help="write pipelines/costs.json; needs all targets")
    parser.add_argument("--out", type=Path, help="stem of the results; default: results/build-SIZEm")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name --data, or set KGCORPUS_TEST_DATA")
    if arguments.costs and arguments.targets:
        parser.error("--costs is of all stages: name no targets")
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
        add_bytes(stages, out)
        result = {
            "command": shlex.join(["python", "benchmarks/build.py", *sys.argv[1:]]),
            "note": arguments.note,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "tasks": int(re.sub(r"\D", "", arguments.master) or 1),
            "python": platform.python_version(),
            "pyarrow": pa.__version__,
            "sizes": json.loads((inputs / "sizes.json").read_text()),
            "stages": [{name: value for name, value in row.items() if name != "ended"} for row in stages],
        }
        if arguments.costs:
            text = json.dumps(costs(result, inputs, out), indent=1) + "\n"
            (HERE.parent / "pipelines" / "costs.json").write_text(text, encoding="utf-8")
    stem = arguments.out or HERE / "results" / f"build-{arguments.megabytes:g}m"
    before = json.loads(arguments.before.read_text()) if arguments.before else None
    text = table(result, before)
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
