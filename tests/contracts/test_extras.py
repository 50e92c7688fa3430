"""The command that installs an extra names the source that kgcorpus was installed from."""

import json
from pathlib import Path
from typing import Any

import pytest

from kgcorpus.contracts.extras import install_command

_URL = "https://example.org/kgcorpus.git"
_GIT = {"url": _URL, "vcs_info": {"vcs": "git", "commit_id": "ab12", "requested_revision": "main"}}
_ARCHIVE = {"url": "file:///w/kgcorpus-9-py3-none-any.whl", "archive_info": {}}


@pytest.mark.parametrize(
    ("record", "requirement"),
    [
        (None, "'kgcorpus[link]'"),
        ({"url": "file:///a%20b/kg", "dir_info": {}}, "'/a b/kg[link]'"),
        ({"url": "file:///src/kg", "dir_info": {"editable": True}}, "-e '/src/kg[link]'"),
        (_GIT, f"'kgcorpus[link] @ git+{_URL}@ab12'"),
        (_ARCHIVE, "'kgcorpus[link] @ file:///w/kgcorpus-9-py3-none-any.whl'"),
    ],
    ids=["index", "folder", "editable", "repository", "archive"],
)
def test_the_install_command_names_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any] | None, requirement: str
) -> None:
    folder = tmp_path / "kgcorpus-9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: kgcorpus\nVersion: 9\n")
    if record:
        (folder / "direct_url.json").write_text(json.dumps(record))
    monkeypatch.syspath_prepend(tmp_path)
    assert install_command("link") == f"pip install {requirement}"
    plain = f"pip install --no-deps {requirement.replace('[link]', '')}"
    assert install_command(options="--no-deps").replace("'", "") == plain.replace("'", "")
