"""Arguments of a stage: its declared config fields, inputs and sources, and nothing else."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from kgcorpus.contracts.errors import KgcorpusError, UsageError
from kgcorpus.contracts.object_store import is_object_store
from kgcorpus.contracts.shards import row_groups_of
from kgcorpus.contracts.stages import Source
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import Limits, OnBad, refuse
from pipelines.lookup import names_cache, names_of, read_row_groups
from pipelines.scratch import Scratch
from pipelines.spark_functions import RowFunction, map_rows, without_secrets

if TYPE_CHECKING:
    # Every Spark worker imports this module; pydantic would cost each a tenth of a second.
    from kgcorpus.config import BuildConfig

# The file of a task in `Context.stored`, and the rows of a batch that is read from it.
_ROWS, _STORED_ROWS = "rows.parquet", 10_000
_WILD = re.compile(r"[\[\]{}*?\\]")


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run of one stage.

    Attributes:
        config: the fields that the stage declares in `params`; reading another one raises.
        inputs: table -> absolute paths or URLs of its shards; an optional table that is n/a is absent.
        sources: the configured files and folders, `located`.
        partitions: how finely to spread work; never changes a result.
        graph_parts: into how many parts the graph is cut for its cycles; likewise.
        scratch: files that the driver and the tasks leave for each other; removed after the stage.
        on_bad_input: fail | quarantine.
    """

    spark: SparkSession
    seed: int
    config: "BuildConfig"
    inputs: Mapping[str, Sequence[str]]
    sources: Sequence[Source]
    partitions: int
    graph_parts: int
    scratch: Scratch
    on_bad_input: str

    @property
    def limits(self) -> Limits:
        """What an input may ask for; of a stage that declares the field `limits`."""
        return Limits(**self.config.limits.model_dump())

    def has(self, name: str) -> bool:
        """Is the table among this build's inputs?"""
        return name in self.inputs

    def read(self, name: str, *columns: str) -> DataFrame:
        """An input table."""
        if name not in self.inputs:
            raise KgcorpusError(f"the stage reads {name}, which it does not declare")
        if is_object_store(self.inputs[name][0]):
            return self._read_objects(name, columns or tuple(table(name).columns))
        schema = from_arrow_schema(table(name).schema)
        frame = self.spark.read.schema(schema).parquet(*map(as_pattern, self.inputs[name]))
        return frame.select(*columns) if columns else frame

    def _read_objects(self, name: str, columns: Sequence[str]) -> DataFrame:
        """Read a table in tasks: the cluster needs no connector for the store."""
        chosen = pa.schema([table(name).schema.field(column) for column in columns])

        @without_secrets
        def read(units: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in read_row_groups(units, columns):
                yield pa.record_batch([batch.column(column) for column in columns], schema=chosen)

        return self.row_groups(name).mapInArrow(read, from_arrow_schema(chosen))

    def row_groups(self, name: str, *, parts: int = 1) -> DataFrame:
        """The row groups of an input table, for `lookup.read_row_groups`: columns `path` and `group`.

        Args:
            parts: of a row group, each a row, of which `group` is the row group times `parts` plus the part.
        """
        groups = [(path, row_groups_of(path)) for path in self.inputs[name]]
        units = [(path, number) for path, n in groups for number in range(n * parts)]
        return self._spread(units, "group", tasks=min(self.partitions, len(units)))

    def parts_of_row_groups(self, name: str) -> int:
        """Into how many parts to cut an input's row groups, so that all cores have work.

        A task reads the whole row group for its part of it.
        """
        from pipelines.session import cores_of

        groups = sum(map(row_groups_of, self.inputs[name]))
        cores = min(self.partitions, cores_of(self.spark) or self.partitions)
        return -(-cores // max(1, groups))

    def empty(self, name: str) -> DataFrame:
        """A table without rows, in the place of an optional one that is n/a."""
        return self.spark.createDataFrame([], from_arrow_schema(table(name).schema))

    def of_role(self, role: str) -> list[Source]:
        """The sources of one config field."""
        return [source for source in self.sources if source.role == role]

    def files(self, paths: Sequence[str]) -> DataFrame:
        """Rows `{"path", "ordinal"}`, a task each."""
        return self._spread([(path, i) for i, path in enumerate(paths)], "ordinal", tasks=len(paths))

    def map_files(self, paths: Sequence[str], function: RowFunction, schema: pa.Schema) -> DataFrame:
        """Run a row function once a file, a task each; its rows are those of `files`."""
        return map_rows(self.files(paths), function, schema)

    def _spread(self, units: Sequence[tuple[str, int]], number: str, *, tasks: int) -> DataFrame:
        """Rows `{"path", number}`, in order, over so many tasks: made in the tasks, without a shuffle.

        A path contains no NUL, so one literal carries them all.
        """
        paths = F.split(F.lit("\0".join(path for path, _ in units)), "\0")
        # Without units there are no rows, but Spark casts the literal.
        numbers = F.split(F.lit(" ".join(str(n) for _, n in units) or "0"), " ").cast("array<int>")
        place = (F.col("id") + 1).cast("int")
        return self.spark.range(0, len(units), 1, numPartitions=max(1, tasks)).select(
            F.element_at(paths, place).alias("path"), F.element_at(numbers, place).alias(number)
        )

    def stored(self, frame: DataFrame, name: str) -> DataFrame:
        """Write a frame to the scratch space, and read it back.

        Several jobs can read it, and it does not depend on the executors that made it. Spark Connect on
        serverless compute has no `persist`.

        Args:
            name: of its folder; unique in the stage.
        """
        schema, scratch = to_arrow_schema(frame.schema), self.scratch

        @without_secrets
        def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            task = TaskContext.get()
            part = f"{name}/{task.partitionId() if task else 0:06d}"
            filled = (batch for batch in batches if batch.num_rows)
            if (first := next(filled, None)) is None:
                return
            with (
                scratch.writing(part) as folder,
                pq.ParquetWriter(folder / _ROWS, schema, compression="zstd") as file,
            ):
                for batch in chain([first], filled):
                    file.write_table(pa.Table.from_batches([batch]).cast(schema))
            yield pa.record_batch({"part": [part]})

        @without_secrets
        def read(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for part in (part for batch in parts for part in batch.column("path").to_pylist()):
                with scratch.reading(part) as folder, pq.ParquetFile(folder / _ROWS) as file:
                    yield from file.iter_batches(_STORED_ROWS)

        written = sorted(row.part for row in frame.mapInArrow(write, "part string").collect())
        return self.files(written).mapInArrow(read, frame.schema)

    def share_names(self, *tables: str) -> None:
        """Make the names of `entities` or `relations`, before the tasks need them.

        Otherwise all workers would write the same files at once.
        """
        for name in tables:
            paths = tuple(self.inputs[name])
            names_of(paths, table(name).key[0])
            self.scratch.share_cache(names_cache(paths))


def located(source: Source) -> Source:
    """The source under a path that holds in every process: an executor has a working directory of its own.

    A URL, and a name of a model hub, stay as they are.
    """
    path = Path(source.path)
    return replace(source, path=str(path.absolute())) if path.exists() else source


def as_pattern(path: str) -> str:
    """Escape a path so that it is a pattern that matches only this path: Spark reads from patterns."""
    return _WILD.sub(r"\\\g<0>", path)


def require_readable_by_spark(out: Path) -> None:
    """Refuse a folder whose path holds a colon and a character of patterns: Hadoop cannot read there.

    Raises:
        UsageError: it is such a folder.
    """
    if ":" in str(out) and _WILD.search(str(out)):
        raise UsageError(
            "its path holds a colon and one of []{}*?\\, a combination that Spark cannot read",
            where=str(out),
            hint="Choose another --out",
        )


def on_bad(policy: str, tally: Tally) -> OnBad:
    """What a reader does with a malformed record: stop, or set it aside with its position."""
    if policy == "fail":
        return refuse
    return lambda bad: tally.quarantine(where=bad.where, reason=bad.reason, text=bad.text)
