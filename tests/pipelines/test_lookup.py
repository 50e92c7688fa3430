"""What a task opens for itself."""

from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from pipelines.lookup import token_counter


@pytest.mark.parametrize("damaged", ["", "{", '{"version": "1.0"}'])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "tokenizer.json").write_text(damaged)
    with pytest.raises(InputError, match=r"tokenizer\.json: cannot be read as a tokenizer"):
        token_counter(str(tmp_path))
