"""A big dump without index, read by one core and by two: `python benchmarks/big_files.py --megabytes 600`.

The dump repeats demo-small's articles under new titles, in one bzip2 stream of so many packed megabytes. The
stage `pages` is built from it with `local[1]` and `local[2]` in turn, each in a process of its own. Wall
seconds are those of the stage, without Spark's start; they count on an idle machine only, so the load before
each build is in the result. `--suffix gz` measures a packing without parts. (xz would pack the repetitions.)
With `--at-most 1` each call makes one build, and the same command continues; the dump is kept in `--work`.
"""

import argparse
import bz2
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from measured import Measured

HERE = Path(__file__).parent
_GZIP = 31  # zlib's window bits for a gzip file
_PACKERS: dict[str, Callable[[], Any]] = {
    "bz2": bz2.BZ2Compressor,
    "gz": lambda: zlib.compressobj(wbits=_GZIP),
}
_END = b"</mediawiki>\n"
GOAL = 1.8


def pages(data: Path) -> Iterator[bytes]:
    """The head of demo-small's dump, then its pages again and again, each with its own id and title."""
    xml = bz2.decompress((data / "demo-small" / "enwiki-24articles.xml.bz2").read_bytes()).decode()
    head, *rest = xml.split("<page>")
    yield head.encode()
    articles = [text.partition("</page>")[0] for text in rest]
    number = 0
    while True:
        for article in articles:
            number += 1
            before, _, after = article.partition("</title>")
            tail = after.partition("</id>")[2]
            named = f"<page>{before} {number}</title><ns>0</ns><id>{number}</id>{tail}</page>\n"
            yield named.encode()


def write_dump(path: Path, data: Path, size: int, suffix: str) -> int:
    """Write a dump of about `size` packed bytes; returns its unpacked bytes."""
    plain = written = 0
    packer = _PACKERS[suffix]()
    with path.open("wb") as file:
        for page in pages(data):
            plain += len(page)
            written += file.write(packer.compress(page))
            if written >= size:
                break
        file.write(packer.compress(_END) + packer.flush())
    return plain + len(_END)


def seconds(dump: Path, cores: int, folder: Path) -> dict[str, Any]:
    """Build `pages` with so many cores; its seconds, rows and hash, and the load before."""
    out = folder / f"out-{cores}"
    config = folder / "config.yaml"
    config.write_text(json.dumps({"languages": ["en"], "wikipedia": [{"lang": "en", "dump": str(dump)}]}))
    load = os.getloadavg()[0]
    words: list[str | Path] = [
        "build-corpus",
        "pages",
        "--quiet",
        "--force",
        "--config",
        config,
        "--out",
        out,
    ]
    settings = ["--set", f"spark.master=local[{cores}]", "--set", "spark.partitions=8"]
    subprocess.run([sys.executable, "-m", "kgcorpus", *words, *settings], check=True)
    entry = json.loads((out / "manifest.json").read_text())["tables"]["pages"]
    time = json.loads((out / "run.json").read_text())["times"]["pages"]
    return {
        "seconds": time["seconds"],
        "tasks": time["tasks"],
        "rows": entry["rows"],
        "digest": entry["digest"],
        "load": load,
    }


def main() -> None:
    """Read the command line, write the dump, build in turn, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("KGCORPUS_TEST_DATA"))
    parser.add_argument("--megabytes", type=float, default=600.0, help="of the packed file")
    parser.add_argument("--suffix", choices=list(_PACKERS), default="bz2")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, help="folder of the dump and the builds; default: a temporary one"
    )
    parser.add_argument("--at-most", type=int, metavar="N", help="make N builds; the same command continues")
    parser.add_argument("--out", type=Path, help="stem of the results; default: results/big-files-SUFFIX")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name --data, or set KGCORPUS_TEST_DATA")
    if arguments.at_most is not None and arguments.work is None:
        parser.error("--at-most needs --work, which keeps the dump")
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    stem = arguments.out or HERE / "results" / f"big-files-{arguments.suffix}"
    settings = {"megabytes": arguments.megabytes, "suffix": arguments.suffix, "rounds": arguments.rounds}
    measured = Measured(stem, settings, most=arguments.at_most)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        dump = folder / f"wiki-{arguments.megabytes:g}.xml.{arguments.suffix}"

        def written() -> dict[str, Any]:
            size = int(arguments.megabytes * 1e6)
            part = dump.with_name(f"{dump.name}.part")
            plain = write_dump(part, Path(arguments.data), size, arguments.suffix)
            part.replace(dump)
            return {"plain_bytes": plain, "packed_bytes": dump.stat().st_size}

        sizes = measured.of("dump", written)
        if not dump.exists():
            # It was kept in another folder, or nowhere.
            sizes = written()
        for number in range(arguments.rounds):
            for cores, found in runs.items():
                build = partial(seconds, dump, cores, folder)
                found.append(measured.of(f"build {number}, {cores} cores", build))
    if len({run["digest"] for found in runs.values() for run in found}) != 1:
        raise SystemExit("the builds differ")
    one, two = (statistics.median(run["seconds"] for run in found) for found in runs.values())
    load = max(run["load"] for found in runs.values() for run in found)
    result = {
        "command": f"python benchmarks/big_files.py --megabytes {arguments.megabytes:g}"
        f" --suffix {arguments.suffix}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **sizes,
        "runs": {str(cores): found for cores, found in runs.items()},
        "ratio_of_two_cores": one / two,
        "goal": GOAL,
    }
    text = (
        f"# One big .{arguments.suffix} dump without index\n\n`{result['command']}`: "
        f"{sizes['packed_bytes'] / 1e6:,.0f} MB packed, {sizes['plain_bytes'] / 1e6:,.0f} MB of XML, "
        f"{runs[1][0]['rows']:,} pages; equal bytes.\n\n"
        "| cores | wall seconds of `pages` | tasks |\n|---|---|---|\n"
        f"| 1 | {one:,.1f} | {runs[1][0]['tasks']} |\n| 2 | {two:,.1f} | {runs[2][0]['tasks']} |\n\n"
        f"{one / two:.2f}x with two cores, at a load of at most {load:.1f} before a build. Goal {GOAL}x: "
        f"{'reached' if one / two >= GOAL else 'not reached'}.\n"
    )
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    measured.forget()
    print(text)


if __name__ == "__main__":
    main()
