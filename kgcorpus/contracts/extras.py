"""Optional dependencies: which extra of the package installs which library."""

import traceback

EXTRAS: dict[str, tuple[str, ...]] = {
    "spark": ("msgspec", "pyspark", "pandas", "numba", "tokenizers", "packaging"),
    "link": ("numba", "spacy"),
    "importance": ("torch", "transformers", "safetensors"),
    "train": ("torch", "transformers", "safetensors", "accelerate", "tokenizers", "numba"),
    "report": ("matplotlib", "networkx"),
    "s3": ("s3fs",),
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


def install_command(extra: str) -> str:
    """Return the pip command that installs an extra."""
    return f"pip install 'kgcorpus[{extra}]'"


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
