"""The YAML at the head of a dataset card, from which the Hub and `datasets` know a build's configs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import yaml

from kgcorpus.contracts.splits import SPLITS
from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.statistics import PUBLISHED

# Configs with running text; the others state facts by labels.
_TEXTS = {"plain_text", "trelm", "jaket_text", "jaket_entities", "sources"}
_TASKS = {"xlr": "multiple-choice", "jaket_edges": "graph-ml", "jaket_entities": "graph-ml"}
_WIKIDATA_RELATION = re.compile(r"P[1-9][0-9]*")
# The Hub's classes: below each bound is one class.
_SIZES = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9, 10**10, 10**11, 10**12)
_UNITS = ("", "K", "M", "B", "T")


def front_matter(
    configs: Mapping[str, Mapping[str, int]], report: Mapping[str, Any], *, languages: Sequence[str]
) -> str:
    """Return the front matter with its `---` lines; empty without configs.

    Args:
        configs: rows by split, of each config that has rows.
        report: the contents of report.json.
        languages: configured language codes, the base language first.
    """
    if not configs:
        return ""
    rows = sum(sum(splits.values()) for splits in configs.values())
    licences = sorted({licence for name in configs for licence in licences_of(name, report)})
    sources = {str(entry.get("role", "")) for entry in report["sources"]}
    tags = ["kgcorpus", "knowledge-graph", "pretraining"]
    tags += ["wikipedia"] if "wikipedia.dump" in sources else []
    tags += ["wikidata"] if _is_wikidata(report) else []
    codes = hub_languages(languages)
    about: dict[str, Any] = {
        "pretty_name": f"Text and knowledge graph for pretraining ({', '.join(languages) or 'kgcorpus'})",
        **({"language": codes} if codes else {}),
        "license": licences,
        "size_categories": [size_category(rows)],
        "task_categories": sorted({_TASKS.get(name, "fill-mask") for name in configs}),
        "tags": tags,
        "configs": [_config(name, splits) for name, splits in configs.items()],
        "dataset_info": [
            _info(name, splits, report["tables"][name]) for name, splits in configs.items() if name in TABLES
        ],
    }
    return f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True)}---\n"


def hub_languages(languages: Sequence[str]) -> list[str]:
    """Return the codes as the Hub knows them, which has no regions and variants: `zh-tw` is `zh`."""
    return list(dict.fromkeys(lang.split("-")[0].lower() for lang in languages))


def licences_of(config: str, report: Mapping[str, Any]) -> list[str]:
    """Return the licences of a config's rows, as the Hub names them; `other` stands for unknown ones.

    Args:
        config: name of a published table.
        report: the contents of report.json.
    """
    if config not in _TEXTS:
        return ["cc0-1.0"] if _is_wikidata(report) else ["other"]
    roles = {str(entry.get("role", "")) for entry in report["sources"]}
    found = ["cc-by-sa-4.0"] if "wikipedia.dump" in roles else []
    # Descriptions come from a file if the graph has one.
    if "text.path" in roles or (config == "jaket_entities" and "graph.descriptions" in roles) or not found:
        found.append("other")
    return found


def size_category(rows: int) -> str:
    """Return the Hub's class of a number of rows, e.g. `10K<n<100K`."""
    above = [bound for bound in _SIZES if rows >= bound]
    below = [bound for bound in _SIZES if rows < bound]
    if not above:
        return f"n<{_short(below[0])}"
    return f"{_short(above[-1])}<n<{_short(below[0])}" if below else f"n>{_short(above[-1])}"


def _short(number: int) -> str:
    power = (len(str(number)) - 1) // 3
    return f"{number // 1000**power}{_UNITS[power]}"


def _is_wikidata(report: Mapping[str, Any]) -> bool:
    """Whether the relations have Wikidata's ids."""
    triples = report["tables"].get("triples", {})
    relations = triples.get("distributions", {}).get("relations", {})
    return bool(relations) and all(_WIKIDATA_RELATION.fullmatch(ident) for ident in relations)


def _config(name: str, splits: Mapping[str, int]) -> dict[str, Any]:
    files = [
        {"split": split, "path": f"{PUBLISHED}{name}/{split}-*.parquet"} for split in SPLITS if splits[split]
    ]
    return {"config_name": name, "data_files": files}


def _info(name: str, splits: Mapping[str, int], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Features, counts and bytes of a config, as `datasets.DatasetInfo` reads them."""
    return {
        "config_name": name,
        "features": [{"name": field.name, **_feature(field.type)} for field in TABLES[name].schema],
        "splits": [{"name": split, "num_examples": splits[split]} for split in SPLITS if splits[split]],
        "download_size": entry["bytes"],
    }


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {"struct": [{"name": field.name, **_feature(field.type)} for field in kind]}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return {"list": inner.get("struct") or inner["dtype"]}
    names = {pa.float32(): "float32", pa.float64(): "float64"}
    return {"dtype": names.get(kind, str(kind))}
