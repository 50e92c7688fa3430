"""`kgcorpus plan --estimate`: what a build will cost, from measured costs and the sizes of its inputs.

A stage costs a fixed time, and a time for each byte of the inputs that its work grows with. Both come from
one build that `benchmarks/build.py --costs` measured (`costs.json`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.remote import without_query
from kgcorpus.contracts.stages import format_of
from kgcorpus.report.progress.text import amount, duration
from pipelines.bound import BoundStage
from pipelines.source_digests import SourceDigests

MACHINES = (1, 8, 64)
CORES = 16  # of a machine
# Bytes a task holds of the graph in `cycles`, by triples: 1,015 MiB for 20.6 million through Spark
# (benchmarks/results/cycles-20600k.md); a measured line `h r t` has 16 bytes.
_GRAPH_BYTES_A_BYTE = 3.2
# Unpacked bytes a packed byte where costs.json has no measurement: of .gz, .xz and .zst.
_PACKED = {".gz": 4.0, ".xz": 5.0, ".zst": 4.5}
# Bytes of lines `h r t`, and of labels in ten languages, that a byte of Wikidata's JSON dump holds: the
# items of the full dump (about 1.7 TB) have some 8e8 facts between items, and 5e8 names in ten languages.
_FACTS_A_BYTE, _NAMES_A_BYTE = 0.0075, 0.009
_FACTS = ("triples", "cycles", "rules", "xlr", "code_switched", "reasoning", "jaket_edges")
_NAMES = ("entities", "jaket_entities")
# Field of `graph` -> field of `Sizes` for its lines; a dump's names are counted once, for `labels`.
_KIND = {"triples": "triples", "relations": "relations"}
_FROM_DUMP = ("triples", "labels")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Unpacked bytes of a build's inputs, by what the costs of stages grow with.

    Attributes:
        triples: of lines `h r t`, also of those that Wikidata's dump holds.
        labels: of lines with names, likewise.
        relations: of lines with names of relations.
        articles: of MediaWiki XML.
        text: of running text.
        wikidata: of Wikidata's JSON dump.
        languages: how many are configured.
    """

    triples: float = 0
    labels: float = 0
    relations: float = 0
    articles: float = 0
    text: float = 0
    wikidata: float = 0
    languages: int = 1


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """What a stage will cost.

    Attributes:
        rows: of its table.
        cpu_seconds: of all processes.
        table_bytes, shuffled_bytes: on disk.
    """

    stage: str
    rows: int
    cpu_seconds: float
    table_bytes: int
    shuffled_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a build will cost.

    Attributes:
        hours: machines of 16 cores -> hours, if all cores are busy.
        table_bytes: of OUT at the end.
        shuffled_bytes: of all stages, in SPARK_LOCAL_DIRS.
        memory_bytes: of a machine of 16 cores.
        unmeasured: stages without a measured cost; they are not in the sums.
    """

    stages: Sequence[StageEstimate]
    hours: Mapping[int, float]
    table_bytes: int
    shuffled_bytes: int
    memory_bytes: int
    unmeasured: Sequence[str]


@cache
def measured_costs() -> Mapping[str, Any]:
    """The content of `costs.json`."""
    found = parse_json(files("pipelines").joinpath("costs.json").read_bytes())
    assert isinstance(found, dict)
    return found


def sizes_of(config: BuildConfig, stages: Mapping[str, BoundStage], digests: SourceDigests) -> Sizes:
    """The sizes of a build's inputs; packed files count as so many bytes as such files usually hold."""
    found = {field.name: 0.0 for field in fields(Sizes) if field.name != "languages"}
    sources = {source for bound in stages.values() if not bound.unavailable for source in bound.sources}
    dumps: dict[str, float] = {}
    for source in sources:
        section, _, name = source.role.partition(".")
        plain = digests.size(source) * _ratio(source.path) if section in ("graph", "wikipedia", "text") else 0
        if section == "graph" and format_of(source.path) == ".json":
            dumps[source.path] = plain
            share = _FACTS_A_BYTE if name == "triples" else _NAMES_A_BYTE * len(config.languages) / 10
            found["triples" if name == "triples" else "labels"] += plain * share * (name in _FROM_DUMP)
        elif section == "graph":
            found[_KIND.get(name, "labels")] += plain
        elif source.role == "wikipedia.dump":
            found["articles"] += plain
        elif section == "text":
            found["text"] += plain
    found["wikidata"] = sum(dumps.values())
    return Sizes(**found, languages=len(config.languages))


def _ratio(path: str) -> float:
    path = without_query(path)
    if path.endswith(".bz2"):
        return float(measured_costs()["bz2_plain_bytes_per_packed_byte"])
    return next((ratio for suffix, ratio in _PACKED.items() if path.endswith(suffix)), 1.0)


def estimate(names: Sequence[str], sizes: Sizes, costs: Mapping[str, Any] | None = None) -> Estimate:
    """Estimate the costs of stages.

    Args:
        names: the stages.
        costs: as of `costs.json`; default: `measured_costs()`.
    """
    costs = costs or measured_costs()
    measured = costs["stages"]
    # The cheapest stage has next to no rows: what it takes is planning and starting tasks.
    fixed = min(row["cpu_seconds"] for row in measured.values())
    stages: list[StageEstimate] = []
    for name in names:
        if name == "wikidata" and sizes.wikidata:
            seconds = fixed + sizes.wikidata * costs["wikidata_cpu_seconds_per_byte"]
            held = int(sizes.wikidata * (_FACTS_A_BYTE + _NAMES_A_BYTE))
            row = StageEstimate(
                stage=name, rows=0, cpu_seconds=seconds, table_bytes=held // 3, shuffled_bytes=held // 2
            )
            stages.append(row)
        elif name in measured:
            row_of, scale = measured[name], _scale(name, sizes, costs["inputs"])
            stages.append(
                StageEstimate(
                    stage=name,
                    rows=round(row_of["rows"] * scale),
                    cpu_seconds=fixed + max(0.0, row_of["cpu_seconds"] - fixed) * scale,
                    table_bytes=round(row_of["bytes"] * scale),
                    shuffled_bytes=round(row_of["shuffled_bytes"] * scale),
                )
            )
    start = costs["start_seconds"]
    seconds = sum(stage.cpu_seconds - fixed for stage in stages)
    # Planning and the start use one core, however many there are.
    serial = start + fixed * len(stages)
    graph = sizes.triples * _GRAPH_BYTES_A_BYTE if "cycles" in names else 0
    return Estimate(
        stages=stages,
        hours={n: (serial + seconds / (n * CORES)) / 3600 for n in MACHINES},
        table_bytes=sum(stage.table_bytes for stage in stages),
        shuffled_bytes=sum(stage.shuffled_bytes for stage in stages),
        memory_bytes=int(CORES * costs["peak_mib_per_core"] * (1 << 20) + graph),
        unmeasured=[name for name in names if name not in {stage.stage for stage in stages}],
    )


def _scale(name: str, sizes: Sizes, measured: Mapping[str, float]) -> float:
    """How many times the measured build's work a stage has."""
    if name in _FACTS:
        scale = sizes.triples / measured["triples"]
        # Records of a triple are in every language in which its names are known.
        return scale * (sizes.languages / measured["languages"] if name == "code_switched" else 1)
    if name in _NAMES:
        return sizes.labels / measured["labels"]
    if name == "relations":
        return sizes.relations / measured["relations"]
    # A byte of running text is as much work as the XML that a byte of an article's text comes from.
    return sizes.articles / measured["articles"] + sizes.text / measured["text"]


def as_rows(found: Estimate) -> list[dict[str, Any]]:
    """The estimate as rows of a table: one a stage, and the sum, with hours by the number of machines."""
    total = {
        "stage": "all",
        "rows": sum(stage.rows for stage in found.stages),
        "cpu_seconds": sum(stage.cpu_seconds for stage in found.stages),
        "table_bytes": found.table_bytes,
        "shuffled_bytes": found.shuffled_bytes,
        "memory_bytes": found.memory_bytes,
        "hours": {str(n): hours for n, hours in found.hours.items()},
        "unmeasured": list(found.unmeasured),
    }
    return [*map(asdict, found.stages), total]


def as_text(row: Mapping[str, Any]) -> str:
    """A row of `as_rows` as one line."""
    table_size, shuffled = (amount(row[name], "B") for name in ("table_bytes", "shuffled_bytes"))
    line = (
        f"{row['stage']:<18} {row['rows']:>14,} rows {duration(row['cpu_seconds']):>11} CPU "
        f"{table_size:>8} {shuffled:>8} shuffled"
    )
    if "hours" not in row:
        return line
    hours = ", ".join(f"{duration(3600 * hours)} on {n}" for n, hours in row["hours"].items())
    more = f"\nnot measured, and not in the sums: {', '.join(row['unmeasured'])}" if row["unmeasured"] else ""
    return (
        f"{line}\ntime on machines with {CORES} cores: {hours}; "
        f"{amount(row['memory_bytes'], 'B')} of memory each"
        f"{more}"
    )
