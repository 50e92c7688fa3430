"""`kgcorpus evaluate linking`: hidden links of a build's held-out pages, gold texts, or labelled places."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.config import load_resolved
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.ids import read_id
from kgcorpus.contracts.languages import nearest_code
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.store import write_text
from kgcorpus.inputs import read_lines
from kgcorpus.linking.gold import read_gold, score_gold
from kgcorpus.linking.hidden_links import (
    answers,
    held_out_pages,
    linked_targets,
    resolve_titles,
    score_hidden,
)
from kgcorpus.linking.labelled import answers_at, page_texts, read_labelled, require_entities, score_labelled
from kgcorpus.linking.linker import Linker


def evaluate_linking(
    corpus: Path,
    *,
    out: Path,
    lang: str,
    data: Path | None = None,
    exclude_names: Path | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Score the linker of a build, write the result as JSON and return it.

    Args:
        data: texts with gold mentions (`read_gold`), or in a `.tsv` file, packed or not, labelled places of
            the build's pages (`read_labelled`); None: the links of held-out pages are hidden.
        exclude_names: lines whose first tab-separated column is an id. The labels, aliases and titles of
            these entities stay out of the dictionary, such as those that come from the gold's own authors.

    Raises:
        InputError: no build, no pages with links, or a malformed file.
        UsageError: `out` is a file of a build or a run.
    """
    refuse_replaced(out)
    without = frozenset(_first_ids(exclude_names)) if exclude_names else frozenset()
    if exclude_names and not without:
        raise InputError(
            "has no id",
            where=str(exclude_names),
            hint="Write an id in the first tab-separated column of each line",
        )
    load_manifest(corpus, required=True)
    lang = nearest_code(load_resolved(corpus).all_languages, lang)
    linker = Linker.open(corpus, lang, overrides=overrides, without=without)
    if data is None:
        found = _hidden(corpus, linker, lang)
    elif ".tsv" in data.suffixes:
        found = _labelled(corpus, data, overrides=overrides, without=without)
    else:
        texts = list(read_gold(data, is_entity=linker.knows, wikidata=linker.has_wikidata_ids))
        found = score_gold(linker, texts, seed=load_resolved(corpus).seed)
    config = linker.config.model_dump(mode="json")
    result: dict[str, Any] = {"benchmark": "linking", "lang": lang, "config": config, **found}
    write_text(out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def _first_ids(path: Path) -> Iterator[str]:
    for number, line in read_lines(str(path)):
        try:
            column = line.decode("utf-8").partition("\t")[0]
            if column.strip():
                yield read_id(column)
        except ValueError as error:
            fault = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"the first column {error}"
            hint = "Save the file as UTF-8, with an id in the first tab-separated column of each line"
            raise InputError(fault, where=f"{path}:{number}", hint=hint) from None


def _labelled(
    corpus: Path, data: Path, *, overrides: Sequence[str], without: frozenset[str]
) -> dict[str, Any]:
    places = list(read_labelled(data))
    manifest = load_manifest(corpus)
    manifest.check_files(corpus, ("pages", "triples"))
    texts = page_texts(places, manifest.files(corpus, "pages"), where=str(data))
    if "triples" in manifest.tables:
        require_entities(places, manifest.files(corpus, "triples"), where=str(data))
    linkers = {
        lang: Linker.open(corpus, lang, overrides=overrides, without=without)
        for lang in {place.lang for place in places}
    }
    found = list(answers_at(linkers, places, texts))
    floor = max(linker.floor for linker in linkers.values())
    return score_labelled(found, floor=floor, seed=load_resolved(corpus).seed)


def _hidden(corpus: Path, linker: Linker, lang: str) -> dict[str, Any]:
    manifest = load_manifest(corpus)
    manifest.check_files(corpus, ("pages",))
    seed = load_resolved(corpus).seed
    paths = {
        name: manifest.files(corpus, name) if name in manifest.tables else []
        for name in ("pages", "titles", "surfaces")
    }
    pages = held_out_pages(paths["pages"], lang, seed) if paths["pages"] else []
    if not pages:
        raise InputError(
            f"has no held-out page of {lang} with links",
            where=str(corpus),
            hint="Build it from a dump, or give gold texts with --data",
        )
    titles = {link["target"] for page in pages for link in page["links"]}
    resolved = resolve_titles(titles, lang, pages=paths["pages"], items=paths["titles"])
    targets = linked_targets(paths["surfaces"], lang)
    return score_hidden(list(answers(linker, pages, resolved, targets)), seed=seed)
