"""The Python of README and docs/python.md, as a notebook runs it, on the embedded world."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import ONE_CORE, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
REPOSITORY = Path(__file__).parents[2]
# Small models in place of those of the hub.
MODELS = """
import transformers
from kgcorpus.contracts.manifest import load_manifest
from pathlib import Path
from trainer.config import TrainingConfig
from trainer.run import open_tokenizer

OUT, BASE, CAUSAL = "OUT", "base", "causal"
config = TrainingConfig()
tables = ("plain_text", "code_switched")
tokenizer = open_tokenizer(Path(BASE), Path(OUT), load_manifest(Path(OUT)), config, tables=tables)
tokenizer.save_pretrained(CAUSAL)
sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
transformers.BertForMaskedLM(transformers.BertConfig(**sizes, **small)).save_pretrained(BASE)
causal = transformers.GPT2Config(**sizes, n_embd=32, n_layer=1, n_head=2)
transformers.GPT2LMHeadModel(causal).save_pretrained(CAUSAL)
"""


PRINT = """
import json
print(json.dumps([len(frame), shards.num_rows, len(mentions), str(model), scores]))
"""


def test_the_readmes_lines_of_python_run(built: Path, tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
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


def test_the_page_on_other_trainers_runs(built: Path, tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "docs/python.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(blocks) == 4
    shutil.copytree(built, tmp_path / "OUT")
    code = MODELS + "\n".join(blocks) + "\nprint(trainer.state.log_history[-1]['train_loss'])"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout.splitlines()[-1]) < 12
