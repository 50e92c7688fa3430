"""Optional dependencies: which extra of the package installs which library."""

import importlib.metadata
import json
import shlex
import traceback
from urllib.parse import unquote, urlsplit

EXTRAS: dict[str, tuple[str, ...]] = {
    "spark": ("msgspec", "pyspark", "pandas", "numba", "tokenizers", "packaging"),
    "link": ("numba", "spacy"),
    "importance": ("torch", "transformers", "safetensors"),
    "train": ("torch", "transformers", "safetensors", "accelerate", "tokenizers", "numba"),
    "report": ("matplotlib", "networkx"),
    "s3": ("s3fs",),
    "hub": ("huggingface_hub",),
    "store": ("obstore",),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
}
# The extra that a part of the package needs, by the beginning of the module's name; the first match wins.
_BY_MODULE = (
    ("pipelines.", "spark"),
    ("trainer.", "train"),
    ("kgcorpus.importance.", "importance"),
    ("kgcorpus.linking.", "link"),
)


def install_command(extra: str = "", *, options: str = "") -> str:
    """Return the pip command that installs kgcorpus from its present source, with an extra.

    pip records the source (PEP 610): a folder, an archive or a repository. Without a record it is the
    package index.

    Args:
        extra: of pyproject.toml; empty for none.
        options: of `pip install`.
    """
    return " ".join(filter(None, ("pip install", options, _requirement(f"[{extra}]" if extra else ""))))


def _requirement(extra: str) -> str:
    try:
        record = importlib.metadata.distribution("kgcorpus").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        record = None
    source = json.loads(record) if record else {}
    url = str(source.get("url", ""))
    if not url:
        return shlex.quote(f"kgcorpus{extra}") if extra else "kgcorpus"
    if "dir_info" in source:
        editable = "-e " if source["dir_info"].get("editable") else ""
        return editable + shlex.quote(unquote(urlsplit(url).path) + extra)
    if repository := source.get("vcs_info"):
        url = f"{repository['vcs']}+{url}@{repository['commit_id']}"
    return shlex.quote(f"kgcorpus{extra} @ {url}")


def extra_for(error: ImportError) -> str | None:
    """Return the extra that provides the library of a failed import; None if no extra does.

    If several extras provide it (torch), the modules in the error's traceback decide.
    """
    package = (error.name or "").partition(".")[0]
    candidates = [extra for extra, packages in EXTRAS.items() if package in packages]
    importers = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    for prefix, extra in _BY_MODULE:
        if extra in candidates and any(name.startswith(prefix) for name in importers):
            return extra
    return candidates[0] if candidates else None
