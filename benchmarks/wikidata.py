"""MB a CPU second of Wikidata's JSON dump, and one big .bz2 file read by one process and by two.

    python benchmarks/wikidata.py ../shared/data/wikidata-dump-samples [--mib 600] [--rounds 5]

Decoding: 20 entities of the official dump, repeated to 8 MB of lines in memory. Before: the tolerant reader,
once for each of the stages triples, entities and relations, as builds read the dump before. Now: one pass for
all five fields. Both give equal numbers of rows; rounds are interleaved, medians of CPU time are kept.

Reading: a file of at least `--mib` MiB made of equal streams of several blocks, without index. One process
decodes its parts, then two. Wall time depends on what else the machine does (its load is in the result), so
the ratio is also given by CPU time: that of the search for blocks, which one process does, and of the parts,
in the order in which two processes take them.
Writes benchmarks/results/wikidata.{json,md}.
"""

import argparse
import bz2
import json
import multiprocessing
import os
import platform
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kgcorpus.inputs import FilePart, split_file
from kgcorpus.kg.wikidata import entity_lines, facts_in, is_item, parse_entity, rows_in
from kgcorpus.kg.wikidata_decoding import EntityDecoder

RESULTS = Path(__file__).parent / "results"
DUMP = "./qrank/cmd/qrank-builder/testdata/twenty_entities.json.bz2"
LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
FIELDS = ("triples", "labels", "relations", "descriptions", "types")
STAGES = (("triples",), ("labels", "descriptions", "types"), ("relations",))
LINES, STREAM = 8_000_000, 12_000_000
GOAL, GOAL_OF_TWO = 10.0, 1.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("--mib", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = sample(arguments.samples, Path(folder))
        rates = decoding(lines * (LINES // sum(map(len, lines)) + 1), arguments.rounds)
        dump = big_file(lines, Path(folder), arguments.mib << 20)
        seconds: dict[int, list[float]] = {n: [] for n in (1, 2)}
        by_cpu = []
        for _ in range(arguments.rounds):
            for n, found in seconds.items():
                wall, search, parts = reading(dump, processes=n)
                found.append(wall)
            by_cpu.append((search + sum(parts)) / (search + busiest(parts)))
        packed = dump.stat().st_size
    report(rates, seconds, by_cpu, packed, {"mib": arguments.mib, "rounds": arguments.rounds})


def sample(samples: Path, folder: Path) -> list[bytes]:
    """The 20 entities of the official dump among the samples."""
    for archive in samples.glob("*.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extract(DUMP, folder, filter="data")
    return [line.text for line in entity_lines(FilePart(str(folder / DUMP)))]


def decoding(lines: list[bytes], rounds: int) -> dict[str, list[float]]:
    """Way -> MB a CPU second of each round."""
    ways: dict[str, Callable[[Sequence[bytes]], int]] = {"before": three_passes, "now": one_pass}
    assert three_passes(lines[:20]) == one_pass(lines[:20])
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            part = lines if name == "now" else lines[: len(lines) // 8]
            started = time.process_time()
            way(part)
            rates[name].append(sum(map(len, part)) / 1e6 / (time.process_time() - started))
    return rates


def three_passes(lines: Sequence[bytes]) -> int:
    rows = 0
    for fields in STAGES:
        for line in lines:
            entity = parse_entity(line.decode())
            for field in fields:
                if field == "triples":
                    rows += len(list(facts_in(entity))) if is_item(entity) else 0
                else:
                    rows += len(list(rows_in(entity, field, LANGUAGES)))
    return rows


def one_pass(lines: Sequence[bytes]) -> int:
    decode = EntityDecoder(FIELDS, LANGUAGES).decode
    rows = 0
    for line in lines:
        found = decode(line)
        rows += len(found.facts) + len(found.names) + bool(found.description) + bool(found.types)
    return rows


def big_file(lines: list[bytes], folder: Path, size: int) -> Path:
    """Streams of several blocks, whose lines have different ids."""
    number = iter(range(1, 10**9))
    rest = [line.partition(b'"id":"')[2].partition(b'"')[2] for line in lines]
    text = b"".join(
        b'{"type":"item","id":"Q%d"%s,\n' % (next(number), rest[i % len(rest)])
        for i in range(STREAM * len(rest) // sum(map(len, rest)))
    )
    stream = bz2.compress(text)
    path = folder / "dump.json.bz2"
    path.write_bytes(stream * (size // len(stream) + 1))
    return path


def reading(dump: Path, *, processes: int) -> tuple[float, float, list[float]]:
    """Wall seconds until every part is decoded, CPU seconds of the search, and of each part."""
    started, cpu = time.perf_counter(), time.process_time()
    parts = split_file(str(dump), parts=processes)
    search = time.process_time() - cpu
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        found = list(pool.imap(decode_part, parts))
    assert all(entities for entities, _ in found)
    return time.perf_counter() - started, search, [seconds for _, seconds in found]


def decode_part(part: FilePart) -> tuple[int, float]:
    started = time.process_time()
    decode = EntityDecoder(FIELDS, LANGUAGES).decode
    entities = sum(decode(line.text).is_typed for line in entity_lines(part))
    return entities, time.process_time() - started


def busiest(parts: Sequence[float]) -> float:
    """CPU seconds of the busier of two processes, each of which takes the next part when it is free."""
    busy = [0.0, 0.0]
    for seconds in parts:
        busy[busy.index(min(busy))] += seconds
    return max(busy)


def report(
    rates: dict[str, list[float]],
    seconds: dict[int, list[float]],
    by_cpu: list[float],
    packed: int,
    arguments: dict[str, int],
) -> None:
    before, now = (statistics.median(rates[name]) for name in ("before", "now"))
    ratio = statistics.median(n / b for n, b in zip(rates["now"], rates["before"], strict=True))
    of_two = statistics.median(one / two for one, two in zip(seconds[1], seconds[2], strict=True))
    cpu = statistics.median(by_cpu)
    found = {
        "arguments": arguments,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "mb_per_cpu_second": {"before": before, "now": now, "rounds": rates},
        "ratio": ratio,
        "goal": GOAL,
        "packed_bytes": packed,
        "wall_seconds": {str(n): values for n, values in seconds.items()},
        "ratio_of_two_processes": of_two,
        "ratio_of_two_processes_by_cpu_time": by_cpu,
        "load": os.getloadavg()[2],
        "goal_of_two_processes": GOAL_OF_TWO,
    }
    shown = {n: statistics.median(values) for n, values in seconds.items()}
    text = "\n".join(
        [
            "# Wikidata's JSON dump",
            "",
            f"`python benchmarks/wikidata.py` with {arguments}; medians of interleaved rounds.",
            "",
            "| decoding, all fields | MB a CPU second |",
            "|---|---|",
            f"| before: json, a pass for each of three stages | {before:,.0f} |",
            f"| now: msgspec, one pass | {now:,.0f} |",
            "",
            f"{ratio:.1f}x. Goal {GOAL:.0f}x: {'reached' if ratio >= GOAL else 'not reached'}.",
            "",
            f"| one .bz2 file of {packed / 1e6:,.0f} MB without index | wall seconds |",
            "|---|---|",
            *(f"| {n} process{'es' if n > 1 else ''} | {value:,.1f} |" for n, value in shown.items()),
            "",
            f"{of_two:.2f}x with two by wall time (load of the machine: {os.getloadavg()[2]:.1f}), "
            f"{cpu:.2f}x by CPU time. Goal {GOAL_OF_TWO}x: "
            f"{'reached' if of_two >= GOAL_OF_TWO else 'not reached'} by wall time.",
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "wikidata.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "wikidata.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
