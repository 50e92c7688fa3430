"""The README's lines of Python, as a notebook runs them, on the embedded world."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import ONE_CORE, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
README = Path(__file__).parents[2] / "README.md"


PRINT = """
import json
print(json.dumps([len(frame), shards.num_rows, len(mentions), str(model), scores]))
"""


def test_the_readmes_lines_of_python_run(built: Path, tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import kgcorpus\n.*?)```", text, re.DOTALL)
    shutil.copytree(built, tmp_path / "OUT")
    assert '"my.yaml", "OUT")' in block
    code = block.replace('"my.yaml", "OUT")', f'None, "OUT", overrides={sets(*ONE_CORE)[1::2]!r})') + PRINT
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, shards, mentions, model, scores = json.loads(done.stdout.splitlines()[-1])
    tables = json.loads((built / "manifest.json").read_text())["tables"]
    assert rows > 100
    assert sum(shards.values()) == tables["code_switched"]["rows"]
    assert mentions
    assert (tmp_path / model / "model.safetensors").is_file()
    assert scores == json.loads((tmp_path / "cycles.json").read_text())
