"""Named entities: WikiAnn (Pan et al. 2017) and CoNLL, learnt in one language and scored in all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.tuned.tagging import Tagged, averages, tag
from trainer.evaluate.tuned.tags import entity_scores

_SPACELESS = ("ja", "zh")


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on one language's `train`, select the epoch on its `dev`, score the `test` of all.

    Args:
        model: a folder or hub id.
        data: a folder with `<lang>/train` and `<lang>/test`, whatever their suffix; without any `train`, the
            `dev` of the language is learnt from and a part of it selects the epoch.
        config: how to fine-tune, `train_language` included.

    Returns:
        What `tag` gives, with `precision`, `recall` and `f1` of whole entities; `trained_on`, the file;
        `average` and, as these are cut into characters, `average_without_ja_zh`.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    folder = Path(data)
    source = _file(folder / config.train_language, "train", "dev")
    dev = _file(folder / config.train_language, "dev", "train")
    langs = sorted(path.name for path in folder.iterdir() if path.is_dir())
    chosen = [lang for lang in langs if config.languages is None or lang in config.languages]
    tests = {lang: read(_file(folder / lang, "test")) for lang in chosen}
    found = tag(
        model,
        read(source),
        tests,
        config,
        metrics=entity_scores,
        select="f1",
        dev=read(dev) if dev != source else None,
        dev_source=str(dev.relative_to(folder)),
        fallback="O",
    )
    return {
        "trained_on": str(source.relative_to(folder)),
        "average": averages(found),
        "average_without_ja_zh": averages(found, without=_SPACELESS),
        **found,
    }


def _file(folder: Path, *names: str) -> Path:
    for name in names:
        for path in sorted(folder.glob(f"{name}*")):
            if path.name.split(".")[0] == name:
                return path
    raise InputError(f"holds no {' or '.join(names)}", where=str(folder))


def read(path: Path) -> list[Tagged]:
    """Sentences of lines `word ... tag`, parted by empty lines.

    A word's prefix `lang:` is WikiAnn's and goes; a -DOCSTART- is CoNLL's and is no sentence.

    Raises:
        InputError: a line has no tag.
    """
    return [
        Tagged(*zip(*lines, strict=True))
        for lines in _sentences(path)
        if lines and lines[0][0] != "-DOCSTART-"
    ]


def _sentences(path: Path) -> Iterator[list[tuple[str, str]]]:
    prefix = f"{path.parent.name}:"
    sentence: list[tuple[str, str]] = []
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            fields = line.split("\t") if "\t" in line else line.split(" ")
            if not line.strip():
                yield sentence
                sentence = []
            elif len(fields) == 1:
                raise InputError("has no tag", where=f"{path}, line {number}")
            else:
                sentence.append((fields[0].removeprefix(prefix), fields[-1].strip()))
    yield sentence
