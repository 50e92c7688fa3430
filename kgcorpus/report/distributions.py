"""Distributions for report.json: importance, mention frequencies, relations, categories, KMLM's records."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.shards import read_batches

# SI is 1 if replacing the mention changes nothing; most values are slightly above 1.
SI_BOUNDS = (1.0, 1.001, 1.002, 1.005, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 5.0)
# Characters of a mention; names are rarely longer.
LENGTH_BOUNDS = (1, 4, 8, 12, 16, 24, 32)
_MOST_FREQUENT = 100

Read = Callable[[str, Sequence[str]], Iterator[pa.RecordBatch]]


def reader_of(files: Mapping[str, Sequence[str]]) -> Read:
    """Return a function (table, columns) -> batches that reads a table's files in shard order."""

    def read(table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for path in files[table]:
            yield from read_batches(path, columns)

    return read


def importance(read: Read) -> dict[str, Any]:
    """Histogram of SI, and its relation to the mention's length (SI grows with length under `mask`).

    Returns:
        `si_histogram` {lower bound: mentions}, `si_by_characters` {lower bound: {mentions, mean}} and
        `correlation_with_characters`: Pearson correlation of SI and the length in characters, null if
        either is constant. Mentions without SI are ignored.
    """
    histogram = np.zeros(len(SI_BOUNDS), np.int64)
    mentions, sums = np.zeros(len(LENGTH_BOUNDS), np.int64), np.zeros(len(LENGTH_BOUNDS))
    moments = np.zeros(6)
    for batch in read("importance", ["start", "end", "si"]):
        known = batch.filter(pc.is_valid(batch["si"]))
        si = known["si"].to_numpy().astype(np.float64)
        characters = (known["end"].to_numpy() - known["start"].to_numpy()).astype(np.float64)
        histogram += np.bincount(_bucket(si, SI_BOUNDS), minlength=len(SI_BOUNDS))
        bucket = _bucket(characters, LENGTH_BOUNDS)
        mentions += np.bincount(bucket, minlength=len(LENGTH_BOUNDS))
        sums += np.bincount(bucket, weights=si, minlength=len(LENGTH_BOUNDS))
        moments += [len(si), si.sum(), characters.sum(), si @ si, characters @ characters, si @ characters]
    return {
        "si_histogram": dict(zip(map(str, SI_BOUNDS), histogram.tolist(), strict=True)),
        "si_by_characters": {
            str(bound): {"mentions": n, "mean": total / n if n else None}
            for bound, n, total in zip(LENGTH_BOUNDS, mentions.tolist(), sums.tolist(), strict=True)
        },
        "correlation_with_characters": _pearson(moments),
    }


def entity_statistics(read: Read) -> dict[str, Any]:
    """Entities by mention frequency and by degree, in powers of two.

    Returns:
        `long_tail_entities`, `by_frequency` {lower bound: {entities, mentions}} and `by_neighbours`
        {lower bound: entities}, entities by their number of distinct neighbours in either direction.
    """
    entities: Counter[int] = Counter()
    mentions: Counter[int] = Counter()
    degrees: Counter[int] = Counter()
    long_tail = 0
    for batch in read("entity_statistics", ["frequency", "long_tail", "neighbours"]):
        frequency = batch["frequency"].to_numpy()
        lower = _power_of_two(frequency)
        bounds, counts = np.unique(_power_of_two(batch["neighbours"].to_numpy()), return_counts=True)
        degrees.update(dict(zip(bounds.tolist(), counts.tolist(), strict=True)))
        for bound in np.unique(lower).tolist():
            entities[bound] += int((lower == bound).sum())
            mentions[bound] += int(frequency[lower == bound].sum())
        long_tail += pc.sum(batch["long_tail"]).as_py() or 0
    return {
        "long_tail_entities": long_tail,
        "by_frequency": {
            str(bound): {"entities": entities[bound], "mentions": mentions[bound]}
            for bound in sorted(entities)
        },
        "by_neighbours": {str(bound): degrees[bound] for bound in sorted(degrees)},
    }


def triples(read: Read) -> dict[str, Any]:
    """Triples by relation, the most frequent first."""
    return {"relations": _most_frequent(_value_counts(read("triples", ["r"]), "r"))}


def jaket_entities(read: Read) -> dict[str, Any]:
    """Entities by category, the most frequent first, and the number of distinct categories."""
    counts = _value_counts(read("jaket_entities", ["category"]), "category")
    return {"categories": _most_frequent(counts), "distinct_categories": len(counts)}


def knowledge_records(table: str) -> Callable[[Read], dict[str, Any]]:
    """Statistics of a table whose records consist of triples (KMLM, appendix, tables 8 and 10).

    Returns:
        A function that returns `records` {lang: {kind: records}} and the numbers of distinct `entities` and
        `relations` in them.
    """

    def count(read: Read) -> dict[str, Any]:
        records: Counter[tuple[str, str]] = Counter()
        entities: set[str] = set()
        relations: set[str] = set()
        for batch in read(table, ["lang", "kind", "triples"]):
            kinds = pa.Table.from_batches([batch.select(["lang", "kind"])])
            for row in kinds.group_by(["lang", "kind"]).aggregate([([], "count_all")]).to_pylist():
                records[row["lang"], row["kind"]] += row["count_all"]
            triples = pc.list_flatten(batch["triples"])
            for column, seen in (("h", entities), ("t", entities), ("r", relations)):
                seen.update(pc.unique(pc.struct_field(triples, column)).to_pylist())
        by_language: dict[str, dict[str, int]] = {}
        for (lang, kind), n in sorted(records.items()):
            by_language.setdefault(lang, {})[kind] = n
        return {"records": by_language, "entities": len(entities), "relations": len(relations)}

    return count


def rows_by_language(read: Read, table: str) -> dict[str, int]:
    """Rows of a table with a column `lang`, by language code."""
    return dict(sorted(_value_counts(read(table, ["lang"]), "lang").items()))


DISTRIBUTIONS: dict[str, Callable[[Read], dict[str, Any]]] = {
    "triples": triples,
    "importance": importance,
    "entity_statistics": entity_statistics,
    "jaket_entities": jaket_entities,
    "code_switched": knowledge_records("code_switched"),
    "reasoning": knowledge_records("reasoning"),
}


def _bucket(values: NDArray[np.float64], bounds: Sequence[float]) -> NDArray[np.int64]:
    """Index of the bucket of each value; values below the first bound (rounding) go to the first bucket."""
    return np.maximum(np.searchsorted(bounds, values, side="right") - 1, 0)


def _power_of_two(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The largest power of two up to each value; 0 for 0."""
    return np.where(values > 0, 2 ** np.floor(np.log2(np.maximum(values, 1))), 0).astype(np.int64)


def _pearson(moments: NDArray[np.float64]) -> float | None:
    n, x, y, xx, yy, xy = moments.tolist()
    spread = (n * xx - x * x) * (n * yy - y * y)
    return (n * xy - x * y) / float(np.sqrt(spread)) if spread > 0 else None


def _value_counts(batches: Iterator[pa.RecordBatch], column: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for batch in batches:
        for pair in pc.value_counts(batch[column].drop_null()).to_pylist():
            counts[pair["values"]] += pair["counts"]
    return counts


def _most_frequent(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_FREQUENT])
