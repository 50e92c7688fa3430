"""One stage on files, and the files of official formats that its tests write."""

import bz2
import gzip
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.declared import declared
from kgcorpus.contracts.stages import Stage, sources_of
from kgcorpus.contracts.tables import table
from pipelines import pages
from pipelines.context import Context
from pipelines.scratch import LocalScratch
from pipelines.spark_functions import map_batches
from pipelines.writer import write_shards

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HEAD = """<mediawiki><siteinfo><dbname>{lang}wiki</dbname><case>first-letter</case><namespaces>
<namespace key="14" case="first-letter">{category}</namespace></namespaces></siteinfo>
"""


PAGE = "<page><title>{title}</title><ns>0</ns><id>{n}</id><revision><text>{text}</text></revision></page>\n"


def page(n: int, title: str, text: str) -> str:
    return PAGE.format(n=n, title=title, text=text)


def write_multistream(
    folder: Path, name: str, lang: str, streams: list[list[tuple[int, str, str]]]
) -> tuple[str, str]:
    packed, lines = [bz2.compress(HEAD.format(lang=lang, category="Category").encode())], []
    for stream in streams:
        lines += [f"{sum(map(len, packed))}:{n}:{title}\n" for n, title, _ in stream]
        packed.append(bz2.compress("".join(page(*row) for row in stream).encode()))
    packed.append(bz2.compress(b"</mediawiki>"))
    dump, index = folder / f"{name}.xml.bz2", folder / f"{name}-index.txt.bz2"
    dump.write_bytes(b"".join(packed))
    index.write_bytes(bz2.compress("".join(lines).encode()))
    return str(dump), str(index)


def write_sql(folder: Path, table: str, columns: str, *rows: str) -> str:
    create = ",\n".join(f"  `{name}` blob" for name in columns.split())
    path = folder / f"{table}.sql.gz"
    text = f"CREATE TABLE `{table}` (\n{create}\n);\nINSERT INTO `{table}` VALUES {','.join(rows)};\n"
    path.write_bytes(gzip.compress(text.encode()))
    return str(path)


def run_stage(
    spark: "SparkSession",
    stage: Stage,
    config: BuildConfig,
    folder: Path,
    inputs: dict[str, list[dict[str, Any]]] | None = None,
    *,
    partitions: int = 2,
) -> list[dict[str, Any]]:
    """The stage's rows in the table's order."""
    files = {}
    for name, rows in (inputs or {}).items():
        files[name] = [str(folder / f"{name}.parquet")]
        pq.write_table(pa.Table.from_pylist(rows, schema=table(name).schema), files[name][0])
    context = Context(
        spark=spark,
        seed=0,
        config=declared(config, stage.params, reader=stage.table),
        inputs=files,
        sources=sources_of(config, stage.sources, stage.formats),
        partitions=partitions,
        graph_parts=1,
        scratch=LocalScratch(folder / "scratch"),
        on_bad_input=config.on_bad_input,
    )
    made = table(stage.table)
    out = Path(mkdtemp(dir=folder))
    settings: dict[str, Any] = {
        "shards": {"part": 1},
        "seed": 0,
        "partitions": partitions,
        "quarantine": out / "bad",
    }
    write_shards(stage.run(context), made, out, **settings)
    return pq.read_table(out / "part-00000-of-00001.parquet").to_pylist()


def context_of(
    spark: "SparkSession", config: BuildConfig, folder: Path, *, partitions: int, stage: Stage = pages.STAGE
) -> Context:
    return Context(
        spark=spark,
        seed=0,
        config=declared(config, stage.params, reader=stage.table),
        inputs={},
        sources=sources_of(config, stage.sources, stage.formats),
        partitions=partitions,
        graph_parts=1,
        scratch=LocalScratch(folder / "scratch"),
        on_bad_input=config.on_bad_input,
    )


def plan_of(context: Context) -> tuple[str, int]:
    """Spark's plan up to the parsed pages, and the number of its tasks."""
    ((frame, parse),) = pages.STAGE.run(context).sources
    parsed = map_batches(frame, parse, table("pages").schema)
    return parsed._jdf.queryExecution().executedPlan().toString(), parsed.rdd.getNumPartitions()
