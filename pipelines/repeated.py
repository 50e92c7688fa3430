"""Detection of inputs that a configuration names twice: their rows would count twice."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError, KgcorpusError
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.stages import Source, sources_of
from kgcorpus.inputs import Limits, open_input
from pipelines.source_digests import MODEL_ROLES, SourceDigests

# These files serve every `wikipedia` entry that names them.
_SHARED = ("wikipedia.index", "wikipedia.titles", "wikipedia.templates")
# Files whose first bytes differ, once unpacked, are not read further.
_HEAD_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


def refuse_repeated(config: BuildConfig, roles: Iterable[str], digests: SourceDigests) -> None:
    """Refuse two files of one config field with the same content, packed or not.

    Files of titles, templates and indexes may be named by several `wikipedia` entries, once by each. Empty
    files may be repeated.

    Args:
        roles: config fields, e.g. `text.path`.

    Raises:
        InputError: two files are equal, and `repeated_inputs` is `refuse`.
    """
    if config.repeated_inputs == "allow":
        return
    limits = Limits(**config.limits.model_dump())
    for role in roles:
        groups = [sources_of(config, (role,))]
        if role in _SHARED:
            field = role.rpartition(".")[2]
            groups = [
                [Source(role, path, wiki.lang) for path in getattr(wiki, field)] for wiki in config.wikipedia
            ]
        for group in groups:
            _refuse_equal_bytes(group, digests)
            if role not in MODEL_ROLES and len(group) > 1:
                _refuse_equal_content(group, limits)


def _refuse_equal_bytes(group: Sequence[Source], digests: SourceDigests) -> None:
    by_size: defaultdict[int, list[Source]] = defaultdict(list)
    for source in group if len(group) > 1 else ():
        # A missing file is reported by the stage that reads it.
        if is_remote(source.path) or Path(source.path).is_file():
            by_size[digests.size(source)].append(source)
    for size, alike in by_size.items():
        first: dict[str, Source] = {}
        for source in alike if size and len(alike) > 1 else ():
            other = first.setdefault(digests.digest(source), source)
            if other is not source:
                raise _repeated(source, other, "bytes are equal")


def _refuse_equal_content(group: Sequence[Source], limits: Limits) -> None:
    """Compare the unpacked files: `a.txt` and `a.txt.gz`, or two that were packed differently."""
    by_head: defaultdict[bytes, list[Source]] = defaultdict(list)
    for source in group:
        try:
            with open_input(source.path, limits=limits) as stream:
                head = stream.read(_HEAD_BYTES)
        except (KgcorpusError, OSError):
            continue  # the stage that reads the file reports it
        if not head:
            continue
        for other in by_head[head]:
            if _is_equal(source.path, other.path, limits):
                raise _repeated(source, other, "unpacked content is equal")
        by_head[head].append(source)


def _is_equal(path: str, other: str, limits: Limits) -> bool:
    try:
        with open_input(path, limits=limits) as one, open_input(other, limits=limits) as two:
            while (chunk := one.read(_CHUNK_BYTES)) == two.read(_CHUNK_BYTES):
                if not chunk:
                    return True
    except (KgcorpusError, OSError):
        pass  # the stage that reads the file reports it
    return False


def _repeated(source: Source, other: Source, what: str) -> InputError:
    return InputError(
        f"{source.role} names it twice"
        if other.path == source.path
        else f"{source.role} names it and {other.path}, whose {what}",
        where=source.path,
        hint="Name it once, or set repeated_inputs: allow",
    )
