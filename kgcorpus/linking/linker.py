"""The entity linker: `Linker.open(OUT).link(text, "en")` returns the entities mentioned in a text."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kgcorpus.config import LinkingConfig, load_resolved
from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.languages import LANGUAGE_CODE, base_language_of, nearest_code
from kgcorpus.contracts.links import refuse_links, remove
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.object_store import ObjectStore, is_object_store
from kgcorpus.contracts.remote import local_folder
from kgcorpus.contracts.shards import read_batches, read_shard
from kgcorpus.contracts.store import write_text
from kgcorpus.contracts.store_folders import open_kept
from kgcorpus.contracts.tables import table
from kgcorpus.linking.characters import normalise
from kgcorpus.linking.confidence import confidence, features_of
from kgcorpus.linking.descriptions import nothing_around
from kgcorpus.linking.lexicon import Lexicon, build_lexicon
from kgcorpus.linking.mentions import Mention
from kgcorpus.linking.statistics import names_of_entities, names_of_targets, names_of_titles
from kgcorpus.linking.tagme import Rules, choose_spots, disambiguate
from kgcorpus.linking.targets import page_title

TABLES = ("surfaces", "in_links", "entities", "titles", "triples")

WIKIDATA_ITEM = re.compile(r"Q[1-9][0-9]*")

_FORMAT = 8
_NAMES = pa.schema(
    [
        *((name, pa.string()) for name in ("lang", "surface", "target")),
        *((name, pa.bool_()) for name in ("titled", "main")),
    ]
)
_BATCH = 50_000
_log = logging.getLogger(__name__)


class Linker:
    """The linker of one language.

    Attributes:
        lexicon: the names of the language and their entities.
        config: the options of linking.
    """

    def __init__(self, lexicon: Lexicon, config: LinkingConfig) -> None:
        self.lexicon, self.config = lexicon, config
        self._in_language: Callable[[str], Linker] | None = None

    @classmethod
    def open(
        cls,
        corpus: str | Path,
        lang: str | None = None,
        *,
        overrides: Sequence[str] = (),
        without: frozenset[str] = frozenset(),
    ) -> "Linker":
        """The linker by the tables of a build; its arrays are made once, under CORPUS/cache/linker.

        Args:
            corpus: the build's folder.
            lang: the texts' language; None: the build's base language.
            overrides: `linking.key=value`, over the build's own configuration.
            without: entities whose labels, aliases and titles stay out of the dictionary.

        Raises:
            InputError: the folder holds no build, or none with links or names of entities.
            UsageError: the build has no name in that language, or `corpus` is empty or a URL.
        """
        corpus = local_folder(corpus)
        manifest = load_manifest(corpus, required=True)
        lang = base_language_of(corpus) if lang is None else lang
        # It names a folder of the cache.
        if not LANGUAGE_CODE.fullmatch(lang):
            raise UsageError(
                "is no language code", where=f"lang {lang}", hint="Give one such as en or zh-yue"
            )
        manifest.check_files(corpus, TABLES)
        paths = {name: manifest.files(corpus, name) for name in TABLES if name in manifest.tables}
        if not {"surfaces", "entities"} & set(paths):
            raise InputError(
                "has neither links nor names of entities",
                where=str(corpus),
                hint="Run kgcorpus build-corpus surfaces in_links entities",
            )
        resolved = load_resolved(corpus, overrides=overrides)
        lang = nearest_code(resolved.all_languages, lang)
        linker = cls.of_tables(paths, corpus, lang, config=resolved.linking, without=without)
        if len(linker.lexicon.senses.offsets) < 2:
            raise UsageError(
                f"has no name in the language {lang}",
                where=str(corpus),
                hint="Build it with labels or a dump in that language, or choose another --lang",
            )
        opened = {lang: linker}

        def in_language(other: str) -> Linker:
            if other not in opened:
                opened[other] = cls.open(corpus, other, overrides=overrides, without=without)
                opened[other]._in_language = in_language
            return opened[other]

        linker._in_language = in_language
        return linker

    @classmethod
    def of_tables(
        cls,
        paths: Mapping[str, Sequence[str]],
        out: str | Path,
        lang: str,
        *,
        config: LinkingConfig,
        without: frozenset[str] = frozenset(),
    ) -> "Linker":
        """The same from files of `TABLES`; a table that is not built is left out.

        Args:
            paths: table -> its shards.
            out: the build's folder, in whose cache the arrays are kept, or its URL.
        """
        return cls(_open_lexicon(paths, out, lang, config=config, without=without), config)

    def link(self, text: str, lang: str | None = None) -> list[Mention]:
        """Return the mentions of entities with enough confidence; disjoint, in order of position.

        Args:
            text: of any length.
            lang: its language; None: the linker's. The arrays of another one are opened once.

        Raises:
            UsageError: the build has no name in that language, or this linker was made `of_tables`.
        """
        if lang is not None:
            if self._in_language is None:
                raise UsageError("a linker made of tables has one language", hint="Use Linker.open")
            return self._in_language(lang).link(text)
        return [mention for mention in self.mentions(text) if mention.confidence >= self.floor]

    def link_to_graph(self, text: str) -> list[Mention]:
        """As `link`, without entities outside the graph; a build without a graph keeps all."""
        return [mention for mention in self.mentions_of_graph(text) if mention.confidence >= self.floor]

    def mentions_of_graph(self, text: str) -> list[Mention]:
        """As `link_to_graph`, whatever the confidence."""
        graph = self.lexicon.senses.graph
        return [m for m in self.mentions(text) if not graph.universe or self._in_graph(m.entity)]

    @property
    def floor(self) -> float:
        """The confidence that a mention needs."""
        return self.config.min_confidence if self.config.method == "weighed" else self.config.rho

    def mentions(self, text: str) -> list[Mention]:
        """As `link`, whatever the confidence."""
        found = self._choose(text, *self._spots(text), with_pages=False)
        return [mention for mention in found if mention is not None and page_title(mention.entity) is None]

    def _in_graph(self, entity: str) -> bool:
        number, offsets = self.lexicon.number(entity), self.lexicon.senses.graph.offsets
        return bool(offsets[number + 1] > offsets[number])

    def candidates(self, text: str) -> list[Mention]:
        """All mentions, whatever their confidence, also of pages without an item (as `[[lang:title]]`)."""
        spots = self._spots(text)
        return [mention for mention in self._choose(text, *spots) if mention is not None]

    def link_spans(
        self, text: str, spans: Sequence[tuple[int, int]], *, with_pages: bool = True
    ) -> list[Mention | None]:
        """Link the given spans, which are disjoint and in order; None where the text is not a known name.

        The names around them vote as in `link`. Without `with_pages` no page without an item is chosen.
        """
        starts, ends, names = self._spots(text)
        given = np.array(spans, np.int64).reshape(-1, 2)
        before = np.searchsorted(given[:, 1], starts, side="right")  # spans that end before the spot
        free = np.append(given[:, 0], len(text) + 1)[before] >= ends
        own = np.array([self._name(text[start:end]) for start, end in spans], np.int32)
        known = own >= 0
        starts = np.concatenate([starts[free], given[known, 0]])
        ends = np.concatenate([ends[free], given[known, 1]])
        names = np.concatenate([names[free], own[known]])
        order = np.argsort(starts, kind="stable")
        found = self._choose(text, starts[order], ends[order], names[order], with_pages=with_pages)
        by_start = {m.start: m for m in found if m is not None}
        return [by_start.get(start) if yes else None for (start, _), yes in zip(spans, known, strict=True)]

    def senses_of(self, name: str) -> list[str]:
        """Return the candidates of a name, the most common first."""
        number, senses = self._name(name), self.lexicon.senses
        if number < 0:
            return []
        entities = senses.entities[senses.offsets[number] : senses.offsets[number + 1]]
        return [self.lexicon.entity(entity) for entity in entities.tolist()]

    def knows(self, entity: str) -> bool:
        """Whether the entity has a name."""
        return self.lexicon.number(entity) >= 0

    @property
    def has_wikidata_ids(self) -> bool:
        """Whether all entities with a name are items of Wikidata."""
        return self.lexicon.all_match(WIKIDATA_ITEM.pattern)

    def in_links(self, entity: str) -> int:
        """Training pages that link to the entity."""
        number, offsets = self.lexicon.number(entity), self.lexicon.senses.links.offsets
        return int(offsets[number + 1] - offsets[number]) if number >= 0 else 0

    def _name(self, text: str) -> int:
        return self.lexicon.spotter.find(normalise(text))

    def _spots(self, text: str) -> tuple[Int64s, Int64s, Int64s]:
        """Starts, ends and names of disjoint spots."""
        spotter, rules = self.lexicon.spotter, self._rules
        spots = spotter.every(spotter.tokens(text))
        kept = choose_spots(
            spots.first,
            spots.last,
            spots.names,
            self.lexicon.senses,
            rules.min_probability,
            rules.window,
            rules.nested_ratio,
        )
        return spots.starts[kept], spots.ends[kept], spots.names[kept]

    def _choose(
        self, text: str, starts: Int64s, ends: Int64s, names: Int64s, *, with_pages: bool = True
    ) -> list[Mention | None]:
        weighed = self.config.method == "weighed"
        around = nothing_around(len(names))
        if weighed:
            around = self.lexicon.words_around(text, starts, ends, names)
        choices = disambiguate(names, around, self.lexicon.senses, self._rules, with_pages)
        trust = choices.rho.tolist()
        if weighed:
            known = features_of(text, starts, ends, names, choices=choices, senses=self.lexicon.senses)
            trust = confidence(known).tolist()
        rows = zip(starts.tolist(), ends.tolist(), choices.entities.tolist(), trust, strict=True)
        entity = self.lexicon.entity
        return [Mention(start, end, entity(e), sure) if e >= 0 else None for start, end, e, sure in rows]

    @cached_property
    def _rules(self) -> Rules:
        config = self.config
        return Rules(
            config.min_link_probability,
            config.window,
            config.nested_ratio,
            config.voters,
            config.epsilon,
            config.tau,
            config.graph_weight,
            config.vote_weight if config.method == "weighed" else 0.0,
            config.vote_floor,
            config.word_weight,
        )


def lexicon_cache(
    paths: Mapping[str, Sequence[str]],
    lang: str,
    *,
    config: LinkingConfig,
    without: frozenset[str] = frozenset(),
) -> str:
    """The folder of a language's lexicon below OUT/cache."""
    names = [config.name_links, config.title_links, config.name_probability, sorted(without)]
    key = hashlib.sha256(json.dumps([_FORMAT, _fingerprints(paths), names]).encode()).hexdigest()
    return f"linker/{key[:12]}/{lang}"


def _fingerprints(paths: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return sorted((name, Path(files[0]).parent.name) for name, files in paths.items())


def _open_lexicon(
    paths: Mapping[str, Sequence[str]],
    out: str | Path,
    lang: str,
    *,
    config: LinkingConfig,
    without: frozenset[str],
) -> Lexicon:
    """The lexicon of one language, built by the first process that needs it."""
    name = lexicon_cache(paths, lang, config=config, without=without)

    def make(folder: Path) -> None:
        _build(paths, lang, config, without).save(folder)

    if is_object_store(str(out)):
        return open_kept(ObjectStore(str(out)), f"cache/{name}", opened=Lexicon.open, make=make)
    out = Path(out)
    folder = out / "cache" / name
    refuse_links(out, folder.relative_to(out))
    try:
        return Lexicon.open(folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        # Not made yet, or damaged: numpy has an error for each kind of damage.
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s is damaged (%r) and is made again", folder, error)
        remove(folder)
        # Of which tables it is, for the sweep of a build that has newer ones.
        write_text(folder.parent / "tables.json", json.dumps(_fingerprints(paths)))
        make(folder)
        return Lexicon.open(folder)


def _build(
    paths: Mapping[str, Sequence[str]], lang: str, config: LinkingConfig, without: frozenset[str]
) -> Lexicon:
    def read(name: str, *columns: str) -> pa.Table:
        schema = pa.schema([table(name).schema.field(column) for column in columns])
        own = [("lang", "=", lang)] if "lang" in table(name).columns else None
        files = [read_shard(path, columns, filters=own) for path in paths.get(name, ())]
        return pa.concat_tables([schema.empty_table(), *files])

    names = [
        pa.Table.from_pylist(
            [row for row in rows if row["lang"] == lang and row["target"] not in without], schema=_NAMES
        )
        for rows in _names(paths)
    ]
    return build_lexicon(
        lang,
        surfaces=read("surfaces", "surface", "links", "occurrences", "targets"),
        names=pa.concat_tables([_NAMES.empty_table(), *names]),
        in_links=read("in_links", "target", "pages"),
        triples=read("triples", "h", "t"),
        config=config,
    )


def _names(paths: Mapping[str, Sequence[str]]) -> Iterator[list[dict[str, Any]]]:
    """Labels and aliases, and titles of pages with and without item, by batches."""
    sources: tuple[tuple[str, list[str], Any], ...] = (
        ("entities", ["qid", "names"], names_of_entities),
        ("titles", ["lang", "title", "qid", "via"], names_of_titles),
        ("in_links", ["lang", "target"], names_of_targets),
    )
    for name, columns, rows_of in sources:
        for path in paths.get(name, ()):
            for batch in read_batches(path, columns, rows=_BATCH):
                yield list(rows_of(batch.to_pylist()))
