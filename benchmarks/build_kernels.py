"""The compiled and parsing work of a build's stages without Spark; `benchmarks/build.py` times it."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpus_generator import LANGUAGES

HERE = Path(__file__).parent
_BATCH = 10_000


class Kernels:
    """What each stage cannot do without, on the tables of a finished build."""

    def __init__(self, inputs: Path, out: Path) -> None:
        from kgcorpus.contracts.manifest import load_manifest
        from pipelines.lookup import names_of

        self._inputs, self._out = inputs, out
        self._manifest = load_manifest(out)
        self._names = tuple(
            names_of(tuple(self._manifest.files(out, name)), key)
            for name, key in (("entities", "qid"), ("relations", "pid"))
            if name in self._manifest.tables
        )

    def seconds(self, stage: str) -> tuple[str, float] | None:
        """(what was run, CPU seconds); None: no kernel is named for the stage."""
        work = getattr(self, f"_{stage}", None)
        if work is None:
            return None
        if stage in ("code_switched", "reasoning"):
            # Compiled code is loaded once a process.
            work(limit=1)
        tables = self._read(stage)
        started = time.process_time()
        work()
        self._write(tables)
        return f"{work.__doc__.split('.')[0]}; Parquet", time.process_time() - started

    def _read(self, name: str) -> Iterator[pa.RecordBatch]:
        for path in self._manifest.files(self._out, name):
            with pq.ParquetFile(path, memory_map=True) as file:
                yield from file.iter_batches(_BATCH)

    def _write(self, batches: Iterator[pa.RecordBatch]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            writer = None
            for batch in batches:
                path = Path(folder) / "all.parquet"
                writer = writer or pq.ParquetWriter(
                    path, batch.schema, compression="zstd", compression_level=3
                )
                writer.write_batch(batch)
            if writer:
                writer.close()

    def _triples(self) -> None:
        """Reader of lines."""
        from kgcorpus.kg.readers import parse_triple

        self._lines("triples.txt", parse_triple)

    def _entities(self) -> None:
        """Reader of lines."""
        from kgcorpus.kg.readers import parse_names

        self._lines("labels.tsv", parse_names)

    def _lines(self, file: str, parse: Callable[[str], Any]) -> None:
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.inputs import read_records, refuse

        for _ in read_records(str(self._inputs / file), parse, tally=Tally(), on_bad=refuse):
            pass

    def _code_switched(self, limit: int | None = None) -> None:
        """Rendering."""
        from kgcorpus.codeswitch import code_switched_batches

        self._render("triples", code_switched_batches, limit)

    def _reasoning(self, limit: int | None = None) -> None:
        """Rendering."""
        from kgcorpus.records.kmlm import reasoning_batches

        self._render("cycles", reasoning_batches, limit)

    def _render(self, name: str, render: Callable[..., Iterator[pa.RecordBatch]], limit: int | None) -> None:
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.records.kmlm import with_split

        names, relations = self._names
        for number, batch in enumerate(self._read(name)):
            if number == limit:
                return
            for _ in render(
                with_split(batch, seed=0),
                names=names,
                relations=relations,
                languages=LANGUAGES,
                seed=0,
                tally=Tally(),
            ):
                pass

    def _pages(self) -> None:
        """Unpacking, XML, parser."""
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.inputs import DEFAULT_LIMITS, open_input, refuse
        from kgcorpus.wiki.dump import read_site
        from kgcorpus.wiki.multistream import read_index, read_streams
        from kgcorpus.wiki.pages import page_rows

        dump = str(self._inputs / "wiki.xml.bz2")
        with open_input(dump, limits=DEFAULT_LIMITS) as stream:
            site = read_site(stream, lang="en")
        streams = read_index(str(self._inputs / "index.txt.bz2"), dump)
        tally = Tally()
        pages = read_streams(dump, streams, tally=tally, limits=DEFAULT_LIMITS, on_bad=refuse)
        for _ in page_rows(pages, site=site, tally=tally):
            pass

    def _linked_sentences(self) -> None:
        """Sentences and links."""
        from kgcorpus.contracts.tally import Tally
        from kgcorpus.linking.anchors import link_page

        titles = {row["title"]: row["qid"] for batch in self._read("titles") for row in batch.to_pylist()}
        for batch in self._read("pages"):
            for page in batch.to_pylist():
                for link in page["links"]:
                    link["qid"] = titles.get(link["target"])
                for _ in link_page(page, tally=Tally()):
                    pass

    def _passages(self) -> None:
        """Sentences, tokenizer."""
        from pipelines.lookup import token_counter

        count = token_counter(str(HERE.parent / "kgcorpus" / "demo" / "world" / "encoder")).count
        for batch in self._read("linked_sentences"):
            count(batch.column("text").to_pylist())

    def _plain_text(self) -> None:
        """Columns."""
        for _ in self._read("passages"):
            pass

    _jaket_text = _trelm = _plain_text
