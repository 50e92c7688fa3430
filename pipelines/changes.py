"""Reasons why a stage runs again: parameters, inputs and versions that differ from the last build."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgcorpus.config import BuildConfig, load_resolved
from kgcorpus.contracts.declared import config_json
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.stages import format_of, library_versions
from pipelines.bound import BoundStage
from pipelines.source_digests import SourceDigests

_MOST = 3
_UNKNOWN = "its inputs, params or version changed"


def reason_of_change(bound: BoundStage, out: Path, manifest: Manifest, digests: SourceDigests) -> str:
    """Name what changed, e.g. `cycles.per_pair changed from 4 to 8`.

    config.yaml and manifest.json describe the last finished build. A table that is older than it may differ
    in something that they do not show: then the reason is general.

    Args:
        bound: a stage whose table has another fingerprint than it would get now.
    """
    try:
        former = load_resolved(out)
    except (KgcorpusError, OSError):
        return _UNKNOWN
    found = [*_params(bound, former), *_sources(bound, manifest, digests)]
    installed = library_versions(("kgcorpus", *bound.stage.libraries))
    found += [
        f"{name} changed from {manifest.versions[name]} to {version}"
        for name, version in installed.items()
        if manifest.versions.get(name, version) != version
    ]
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(found[:_MOST]) + more if found else _UNKNOWN


def _params(bound: BoundStage, former: BuildConfig) -> Iterator[str]:
    if former.seed != bound.seed:
        yield f"seed changed from {former.seed} to {bound.seed}"
    # config.yaml holds no secrets, so the values are compared without them.
    before, now = redact_all(config_json(former, bound.params)), redact_all(dict(bound.params))
    for path, value in now.items():
        for name, old, new in _differences(path, before[path], value):
            yield f"{name} changed from {_short(old)} to {_short(new)}"


def _differences(name: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(f"{name}.{key}", before.get(key), now.get(key))
    elif before != now:
        yield name, before, now


def _sources(bound: BoundStage, manifest: Manifest, digests: SourceDigests) -> Iterator[str]:
    formats = bound.stage.formats
    for role in bound.stage.sources:
        before = {
            (s.get("lang", ""), s.get("sha256", "")): s.get("file", "")
            for s in manifest.sources
            if s.get("role") == role and (not formats or format_of(s.get("file", "")) in formats)
        }
        own = [source for source in bound.sources if source.role == role]
        now = {(source.lang, digests.digest(source)): file_name(source.path) for source in own}
        changed = [before[key] if key in before else now[key] for key in before.keys() ^ now.keys()]
        if changed:
            yield f"{role} changed ({', '.join(sorted(set(changed))[:_MOST])})"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
