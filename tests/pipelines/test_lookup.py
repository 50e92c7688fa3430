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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two words.", 3),
        ("京都へ行く。", 6),
        ("ไทย", 3),
        ("ລາວ Vientiane", 4),
        ("北京2008年", 4),
        ("서울은 크다", 2),
    ],
)
def test_without_a_tokenizer_each_character_of_a_script_without_spaces_counts(text: str, words: int) -> None:
    assert token_counter(None).count([text]) == [words]
