"""The linker's data for one language in memory-mapped arrays: spotter, senses, entities."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.config import LinkingConfig
from kgcorpus.contracts.arrays import Int64s, UInt64s
from kgcorpus.contracts.digests import seal, sealed_files
from kgcorpus.contracts.languages import nearest
from kgcorpus.kg.arrays import Folder
from kgcorpus.kg.strings import Column, IdIndex, column_of
from kgcorpus.linking.descriptions import Around, describe, nothing_around, words_around
from kgcorpus.linking.function_words import FUNCTION_WORDS
from kgcorpus.linking.relatedness import Sets, offsets_of, sets_of
from kgcorpus.linking.spotter import Spotter
from kgcorpus.linking.tagme import Senses

_TEXT = pa.large_string()
_SETS = ("links", "graph", "words")
_SENSES = ("probability", "offsets", "entities", "commonness", "main", "raised", "pages")


@dataclass(frozen=True)
class Lexicon:
    """The names of one language and the entities that they refer to.

    Attributes:
        vocabulary: hashes of the words that describe entities (`descriptions.Descriptions`).
        entities: the strings of the entities that `senses` numbers: an id, or `[[lang:title]]`.
    """

    spotter: Spotter
    senses: Senses
    vocabulary: UInt64s
    entities: Column

    def entity(self, number: int) -> str:
        """The entity of that number."""
        start, end = self.entities.offsets[number : number + 2]
        return bytes(self.entities.data[start:end]).decode()

    def words_around(self, text: str, starts: Int64s, ends: Int64s, names: Int64s) -> Around:
        """The words around each spot of a text whose name has several meanings; for `disambiguate`."""
        several = self.senses.offsets[names + 1] - self.senses.offsets[names] > 1
        if not several.any():
            return nothing_around(len(names))
        return words_around(self.spotter.lower_tokens(text), starts, ends, several, self.vocabulary)

    def number(self, entity: str) -> int:
        """The inverse of `entity`; -1 for an entity without a name."""
        return int(self._index.find(pa.array([entity]))[0])

    def all_match(self, pattern: str) -> bool:
        """Whether a regular expression matches the whole id of each entity; pages do not count."""
        ids = self._strings.filter(pa.array(~self.senses.pages))
        return bool(pc.all(pc.match_substring_regex(ids, f"^(?:{pattern})$"), min_count=0).as_py())

    @cached_property
    def _index(self) -> IdIndex:
        return IdIndex(self._strings)

    @property
    def _strings(self) -> pa.LargeStringArray:
        buffers = map(pa.py_buffer, self.entities)
        return pa.LargeStringArray.from_buffers(len(self.entities.offsets) - 1, *buffers)

    def save(self, folder: Path) -> None:
        """Write it as .npy files, and last the digests of all of them."""
        senses, store = self.senses, Folder(folder)
        self.spotter.save(folder)
        store.put(
            "names",
            {name: getattr(senses, name) for name in _SENSES},
        )
        for name in _SETS:
            sets: Sets = getattr(senses, name)
            universe = np.array(sets.universe)
            store.put(name, {"offsets": sets.offsets, "items": sets.items, "universe": universe})
        store.put("vocabulary", {"hashes": self.vocabulary, "rarity": senses.rarity})
        store.put("entities", {"data": self.entities.data, "offsets": self.entities.offsets})
        seal(folder, (str(path.relative_to(folder)) for path in sorted(folder.glob("*/[!.]*.npy"))))

    @classmethod
    def open(cls, folder: Path) -> "Lexicon":
        """Map what `save` wrote, shared by all processes of a machine.

        Raises:
            FileNotFoundError: `save` has not ended there, or a file is missing or damaged since.
        """
        if not sealed_files(folder):
            raise FileNotFoundError(folder)
        store = Folder(folder)
        entities = store.get("entities")
        names = store.get("names")
        vocabulary = store.get("vocabulary")
        links, graph, words = (
            Sets(found["offsets"], found["items"], int(found["universe"])) for found in map(store.get, _SETS)
        )
        senses = Senses(
            **{name: names[name] for name in _SENSES},
            links=links,
            graph=graph,
            words=words,
            rarity=vocabulary["rarity"],
        )
        return cls(Spotter.open(folder), senses, vocabulary["hashes"], Column(**entities))


def build_lexicon(
    lang: str,
    *,
    surfaces: pa.Table,
    names: pa.Table,
    in_links: pa.Table,
    triples: pa.Table,
    config: LinkingConfig,
) -> Lexicon:
    """Join the tables' rows of one language.

    Args:
        surfaces: columns surface, links, occurrences, targets.
        names: surface, target, titled and main; names that need no link, repeated ones counting once.
        in_links: target and pages.
        triples: h and t.
    """
    forms, pairs = _pairs(surfaces, names)
    texts, entities = (pairs[name].combine_chunks() for name in ("surface", "target"))
    texts, entities = texts.dictionary_encode(), entities.dictionary_encode()
    graph = _neighbours(entities.dictionary, triples)
    form, entity = texts.indices.to_numpy(), entities.indices.to_numpy()
    degree = np.diff(graph.offsets)[entity]
    named = pairs["named"].to_numpy()
    share = named * (1 + degree) / np.bincount(form, named * (1 + degree))[form].clip(1e-9)
    weight = pairs["links"].to_numpy() + config.name_links * share
    weight = weight + config.title_links * _are_titles(pairs, names)
    order = np.lexsort((entity, -weight, form))
    shares_a_name = np.bincount(entity, np.bincount(form)[form] > 1) > 0
    edges = _edges(entities.dictionary, triples)
    described = describe(entities.dictionary, shares_a_name, names, edges, lang=lang)
    total = np.bincount(form, weight)
    senses = Senses(
        probability=_probability(texts.dictionary, forms, lang, config),
        offsets=offsets_of(form, len(total)),
        entities=entity[order].astype(np.int32),
        commonness=(weight / total[form])[order].astype(np.float32),
        main=pairs["main"].to_numpy()[order] > 0,
        raised=np.bincount(form, pairs["raised"].to_numpy()) > 0,
        pages=pc.starts_with(entities.dictionary, "[[").to_numpy(zero_copy_only=False),
        links=_linking_pages(entities.dictionary, in_links),
        graph=graph,
        words=described.words,
        rarity=described.rarity,
    )
    return Lexicon(
        Spotter.build(texts.dictionary.to_pylist()), senses, described.hashes, column_of(entities.dictionary)
    )


def _are_titles(pairs: pa.Table, names: pa.Table) -> NDArray[np.bool_]:
    """[pairs] whether the target's page has the surface for its title, the first letter in either case."""
    titles = names.filter(names["titled"])
    known, asked = (
        pc.binary_join_element_wise(
            _with_capital(table["surface"].combine_chunks().cast(_TEXT)),
            table["target"].combine_chunks().cast(_TEXT),
            pa.scalar("\n", _TEXT),
        )
        for table in (titles, pairs)
    )
    return pc.is_in(asked, known).to_numpy(zero_copy_only=False)


def _with_capital(texts: pa.Array) -> pa.Array:
    first = pc.utf8_upper(pc.utf8_slice_codeunits(texts, 0, 1))
    return pc.binary_join_element_wise(first, pc.utf8_slice_codeunits(texts, 1), pa.scalar("", _TEXT))


def _pairs(surfaces: pa.Table, names: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Surfaces with their counts, and distinct (surface, target) with links and 1.0 for what is true.

    `named`: some name of the target; `main`: its label or title; `raised`: by `_capitalised`.
    """
    flat = surfaces["targets"].combine_chunks()
    rows = pc.list_parent_indices(flat)
    linked = pa.table(
        {
            "surface": surfaces["surface"].take(rows).cast(_TEXT),
            "target": flat.flatten().field("target").cast(_TEXT),
            "links": flat.flatten().field("links").cast(pa.float64()),
            "named": pa.array(np.zeros(len(rows))),
            "main": pa.array(np.zeros(len(rows))),
            "raised": pa.array(np.zeros(len(rows))),
        }
    )
    named = pa.table(
        {
            "surface": names["surface"].cast(_TEXT),
            "target": names["target"].cast(_TEXT),
            "links": pa.array(np.zeros(len(names))),
            "named": pa.array(np.ones(len(names))),
            "main": names["main"].cast(pa.float64()),
            "raised": pa.array(np.zeros(len(names))),
        }
    )
    both = pa.concat_tables([linked, named])
    counts = surfaces.select(["surface", "links", "occurrences"])
    known = pa.concat_tables([both, _capitalised(both)])
    columns = [("links", "sum"), ("named", "max"), ("main", "max"), ("raised", "max")]
    pairs = known.group_by(["surface", "target"]).aggregate(columns)
    pairs = pairs.rename_columns(["surface", "target", *(name for name, _ in columns)])
    return counts, pairs.sort_by([("surface", "ascending"), ("target", "ascending")])


def _capitalised(pairs: pa.Table) -> pa.Table:
    """Names in lower case as a sentence begins with them, where the dictionary has no such name."""
    texts = pairs["surface"].combine_chunks()
    capital = _with_capital(texts)
    new = pc.and_(pc.not_equal(capital, texts), pc.invert(pc.is_in(capital, texts)))
    raised = pairs.set_column(0, "surface", capital).filter(new)
    return raised.set_column(
        raised.schema.get_field_index("raised"), "raised", pa.array(np.ones(len(raised)))
    )


def _probability(texts: pa.Array, counts: pa.Table, lang: str, config: LinkingConfig) -> NDArray[np.float32]:
    """[F] link probabilities: links over occurrences.

    Of a name that is never linked it is the lower, the more often the name occurs.

    Words of grammar and single characters are no names unless they are linked.
    """
    known = counts["surface"].combine_chunks().cast(_TEXT)
    place = pc.index_in(texts, known)
    first = pc.utf8_slice_codeunits(texts, 0, 1)
    lower = pc.binary_join_element_wise(
        pc.utf8_lower(first), pc.utf8_slice_codeunits(texts, 1), pa.scalar("", _TEXT)
    )
    rows = pc.fill_null(pc.coalesce(place, pc.index_in(lower, known)), -1).to_numpy()
    links, seen = (np.append(counts[name].to_numpy(), 0)[rows] for name in ("links", "occurrences"))
    linked = links / np.maximum(seen, 1)
    words = pa.array(sorted(nearest(FUNCTION_WORDS, lang, frozenset())), _TEXT)
    weak = pc.or_(pc.is_in(pc.utf8_lower(texts), words), pc.less(pc.utf8_length(texts), 2))
    unlinked = np.where(weak.to_numpy(zero_copy_only=False), 0, config.name_probability / (1 + seen))
    return np.where(links > 0, linked, unlinked).astype(np.float32)


def _linking_pages(entities: pa.Array, in_links: pa.Table) -> Sets:
    """[N] numbers of the pages that link to each entity."""
    lists = in_links["pages"].combine_chunks()
    pages, numbers = np.unique(lists.flatten().to_numpy(), return_inverse=True)
    target = pc.index_in(in_links["target"].combine_chunks().cast(_TEXT), entities)
    owners = pc.fill_null(target, -1).to_numpy()[pc.list_parent_indices(lists).to_numpy()]
    return sets_of(owners, numbers, n=len(entities), universe=len(pages))


def _edges(entities: pa.Array, triples: pa.Table) -> tuple[Int64s, Int64s]:
    """Numbers of the two entities of each triple whose entities both have a name."""
    h, t = (
        pc.fill_null(pc.index_in(triples[name].combine_chunks().cast(_TEXT), entities), -1).to_numpy()
        for name in "ht"
    )
    named = (h >= 0) & (t >= 0)
    return h[named].astype(np.int64), t[named].astype(np.int64)


def _neighbours(entities: pa.Array, triples: pa.Table) -> Sets:
    """[N] numbers of the graph's entities one hop away, and of the entity itself."""
    h, t = (triples[name].combine_chunks().cast(_TEXT) for name in "ht")
    known = pc.unique(pa.concat_arrays([h, t]))
    ends = [pc.index_in(x, known).to_numpy() for x in (h, t)]
    owner_of = pc.fill_null(pc.index_in(known, entities), -1).to_numpy()
    itself = np.arange(len(known))
    owners = owner_of[np.concatenate([ends[0], ends[1], itself])]
    return sets_of(owners, np.concatenate([ends[1], ends[0], itself]), n=len(entities), universe=len(known))
