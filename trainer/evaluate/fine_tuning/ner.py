"""Named entities: WikiAnn (Pan et al. 2017) and CoNLL-2002/2003, learnt in one language and scored in all."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.scripts import is_unspaced
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, required, text_lines
from trainer.evaluate.fine_tuning.tagging import Tagged, averages, entity_scores, tag

# The shared tasks of 2002 and 2003: language -> the opening of its files' names; their bytes are ISO-8859-1.
_CONLL = {"en": "eng", "de": "deu", "es": "esp", "nl": "ned"}
_CONLL_ENCODING = "iso-8859-1"
_SPLITS = {"train": "train", "testa": "dev", "testb": "test"}
_TAG = re.compile(r"O|[BIES]-\S+")
# Language -> split (train, dev, test) -> file.
Files = Mapping[str, Mapping[str, Path]]


def evaluate_ner(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on one language's `train`, select the epoch on its `dev`, score the `test` of all.

    Args:
        model: a folder or hub id.
        data: WikiAnn: a folder with `<lang>/train`, `<lang>/dev` and `<lang>/test`, whatever their suffix;
            without any `train`, the `dev` of the language is learnt from and a part of it selects the epoch.
            CoNLL: a folder with `eng.train`, `eng.testa` (dev), `eng.testb` (test), and `deu`, `esp`, `ned`
            likewise, as published in ISO-8859-1.
        config: how to fine-tune, `train_language` included.

    Returns:
        What `tag` gives, with `precision`, `recall` and `f1` of whole entities; `trained_on`, the file;
        `format`, the layout; `average` and, as these are cut into characters, `average_without_ja_zh`.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    folder = Path(data)
    name, files = _layout(folder)
    encoding = _CONLL_ENCODING if name == "conll" else "utf-8"
    trainable = [lang for lang in sorted(files) if {"train", "dev"} & files[lang].keys()]
    own = files[config.training_language(trainable, where=folder)]
    source = own.get("train") or own["dev"]
    chosen = [lang for lang in sorted(files) if config.languages is None or lang in config.languages]
    for lang in chosen:
        if "test" not in files[lang]:
            raise InputError(f"holds no test of {lang}", where=str(folder))
    has_dev = source == own.get("train") and "dev" in own
    found = tag(
        model,
        read_bio(source, encoding=encoding),
        {lang: read_bio(files[lang]["test"], encoding=encoding) for lang in chosen},
        config,
        metrics=entity_scores,
        select="f1",
        dev=read_bio(own["dev"], encoding=encoding) if has_dev else None,
        dev_source=str(own["dev"].relative_to(folder)) if has_dev else "",
        fallback="O",
    )
    unspaced = [lang for lang in found["by_language"] if is_unspaced(lang)]
    return {
        "trained_on": str(source.relative_to(folder)),
        "format": name,
        "average": averages(found),
        "average_without_ja_zh": averages(found, without=unspaced),
        **found,
    }


def _layout(folder: Path) -> tuple[str, Files]:
    """`wikiann` or `conll`, and the files."""
    wikiann: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*/*")):
        split = path.name.split(".")[0]
        if split in _SPLITS.values() and path.is_file():
            wikiann.setdefault(path.parent.name, {}).setdefault(split, path)
    conll: dict[str, dict[str, Path]] = {}
    for lang, opening in _CONLL.items():
        for ending, split in _SPLITS.items():
            for path in matching_files(folder, f"{opening}.{ending}*"):
                if path.name.split(".")[1] == ending:
                    conll.setdefault(lang, {}).setdefault(split, path)
    if bool(wikiann) == bool(conll):
        many = "both" if wikiann else "neither"
        raise InputError(
            f"holds {many} <lang>/train ... (WikiAnn) {'and' if wikiann else 'nor'} eng.train ... (CoNLL)",
            where=str(folder),
            hint="Name the folder of one of them",
        )
    return ("wikiann", wikiann) if wikiann else ("conll", conll)


def read_bio(path: Path, *, encoding: str = "utf-8") -> list[Tagged]:
    """Sentences of lines `word ... tag`, separated by empty lines.

    A word's prefix `lang:` is WikiAnn's and is removed; a -DOCSTART- line is CoNLL's and no sentence.

    Raises:
        InputError: a line has no IOB tag, or another number of columns than the line before; no sentence.
    """
    found = [Tagged(*zip(*lines, strict=True)) for lines in _sentences(path, encoding) if lines]
    return required(found, path)


def _sentences(path: Path, encoding: str) -> Iterator[list[tuple[str, str]]]:
    prefix = f"{path.parent.name}:"
    sentence: list[tuple[str, str]] = []
    width = 0
    for number, line in text_lines(path, encoding=encoding):
        fields = line.rstrip().split("\t" if "\t" in line else " ")
        where = f"{path}, line {number}"
        if not line.strip():
            yield sentence
            sentence = []
        elif fields[0] == "-DOCSTART-":
            continue
        elif len(fields) == 1 or not _TAG.fullmatch(fields[-1]):
            raise InputError("has no tag (O, B-X, I-X, E-X or S-X)", where=where)
        elif width and len(fields) != width:
            raise InputError(f"has {len(fields)} columns, not {width}", where=where)
        else:
            width = len(fields)
            sentence.append((fields[0].removeprefix(prefix), fields[-1]))
    yield sentence
