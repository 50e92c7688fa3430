"""A builder of tables in a store, without Spark: the whole of `pipelines.runner.build`, but for the rows.

Started once with everything imported, it forks a process for each line that it reads, so that a kill costs
half a second and not ten.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from kgcorpus.config import BuildConfig, load
from kgcorpus.contracts.errors import as_error
from kgcorpus.contracts.manifest import Manifest, table_folder
from pipelines import execute, runner
from pipelines.bound import BoundStage, Output
from pipelines.build_folders import BuildFolder
from pipelines.shard_folders import ShardFolder
from pipelines.store_build import StoreBuild
from pipelines.writer import shard_names

FAILED = 9


def build(reference: Path, url: str, home: Path, *, targets: list[str], seconds: float, lock: bool) -> None:
    """Build targets of the embedded world at a URL; the rows are those of a finished local build.

    Args:
        home: the machine's temporary folder.
        seconds: the lease's term.
        lock: whether to hold a lease, as without `--no-lock`.
    """

    def copy(
        bound: BoundStage,
        config: BuildConfig,
        out: BuildFolder,
        manifest: Manifest,
        *,
        output: Output,
        shards: ShardFolder,
        **_: Any,
    ) -> None:
        source = reference / table_folder(bound.name, output.fingerprint)
        for name in shard_names(bound.table, output.shards):
            if name not in shards.whole():
                with shards.writing(name) as path:
                    shutil.copyfile(source / name, path)

    tempfile.tempdir = str(home)
    execute._write = copy
    package = Path(str(files("kgcorpus.demo")))
    variables = {"WORLD": str(package / "world"), "DUMPS": str(reference / "world")}
    config = load(BuildConfig, package / "config.yaml", variables=variables)
    runner.build(config, StoreBuild(url, lock=lock, seconds=seconds), targets=targets)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(order)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": status}), flush=True)


def _run(order: dict[str, Any]) -> None:
    home = Path(order["home"])
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time
    time.time = lambda: now() + order["clock"]
    code = 0
    with open(home / "log", "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            build(
                Path(order["reference"]),
                order["url"],
                home,
                targets=order["targets"],
                seconds=order["seconds"],
                lock=order["lock"],
            )
        except Exception as error:
            (home / "error").write_text(str(as_error(error)))
            code = FAILED
        log.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
