"""Runs the code of a page of docs/ in the order in which a reader meets it."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(?P<kind>bash|python)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
# What a page leaves to a machine with more time.
SMALL_SPARK = ("spark.master=local[1]", "spark.partitions=1", "spark.memory=1g")
SMALL_MODEL = (
    *("model.hidden=32", "model.layers=2", "model.heads=2", "model.vocab_size=400", "records_per_step=8"),
    *("jaket.gat_heads=2", "transe.dim=8", "transe.steps=10", "transe.facts_per_step=64"),
)


def run_page(name: str, folder: Path, binaries: Path, *, small: bool = True, **variables: str) -> list[str]:
    """Run the blocks of bash and Python of `docs/NAME`.

    Args:
        name: of the page, relative to docs/.
        folder: the working directory.
        binaries: the folder that has `kgcorpus` and `python`.
        small: three training steps of a small model, and one core for Spark.
        variables: further environment variables.

    Returns:
        What each block printed, on both streams.

    Raises:
        AssertionError: a block failed.
    """
    page = (DOCS / name).read_text(encoding="utf-8")
    environ = {**os.environ, **variables, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    printed = []
    for block in _BLOCK.finditer(page):
        code = _smaller(block["code"]) if small else block["code"]
        words = ["bash", "-euc", code] if block["kind"] == "bash" else ["python", "-c", code]
        done = subprocess.run(
            words, cwd=folder, env=environ, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        assert done.returncode == 0, f"{block['code']}\n{done.stdout}{done.stderr}"
        printed.append(done.stdout + done.stderr)
    return printed


def _smaller(code: str) -> str:
    code = re.sub(
        r"--max-steps \d+", "--max-steps 3", code.replace("kgcorpus demo", "kgcorpus demo --max-steps 3")
    )
    code = re.sub(r"(kgcorpus (?:train|sweep) .*)", rf"\1{_sets(SMALL_MODEL)}", code)
    return re.sub(r"(kgcorpus (?:build-corpus|demo) .*)", rf"\1{_sets(SMALL_SPARK)}", code)


def _sets(settings: Sequence[str]) -> str:
    return "".join(f" --set '{setting}'" for setting in settings)
