"""Names on the Hugging Face Hub: `NAME@REVISION` for models, `hf://datasets/USER/NAME` for corpora."""

import re
from pathlib import Path

from kgcorpus.contracts.errors import UsageError

SCHEME = "hf://"
_NAME = r"\w[\w.-]*(?:/[\w.-]+)?"
# A branch, a tag or a commit.
_REVISION = r"[\w./-]+"
_MODEL = re.compile(f"{_NAME}(?:@{_REVISION})?")
_REPOSITORY = re.compile(f"{SCHEME}(?P<kind>datasets/)?(?P<name>(?!datasets/|spaces/)\\w[\\w.-]*/[\\w.-]+)")


def is_model_id(name: str) -> bool:
    """Whether the string can be a model's name on the hub, with or without `@REVISION`."""
    return _MODEL.fullmatch(name) is not None


def split_revision(source: str | Path) -> tuple[str, dict[str, str]]:
    """Split a model's folder or hub id from its revision.

    Returns:
        The folder or id, and the keyword arguments of `from_pretrained`: `revision`, if one is named.
    """
    name = str(source)
    if "@" not in name or Path(name).exists() or not is_model_id(name):
        return name, {}
    name, _, revision = name.partition("@")
    return name, {"revision": revision}


def repository_of(url: str) -> tuple[str, str]:
    """Return the type (`dataset` or `model`) and the name of the repository that is published to.

    Raises:
        UsageError: the URL names no whole repository, or a revision.
    """
    match = _REPOSITORY.fullmatch(url.rstrip("/"))
    if match is None:
        raise UsageError(
            "does not name a repository of the hub",
            where=url,
            hint="Write hf://datasets/USER/NAME for a corpus, hf://USER/NAME for a model",
        )
    return ("dataset" if match["kind"] else "model"), match["name"]
