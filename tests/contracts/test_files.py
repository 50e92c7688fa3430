"""Only regular files are opened, and JSON of any depth ends in a plain error."""

import os
import socket
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file


def test_a_regular_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("four")
    (tmp_path / "link").symlink_to("file")
    assert require_regular_file(tmp_path / "link").st_size == 4


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "file of one process"])
def test_what_is_no_regular_file_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            # Bound by a short name: a socket's path has at most 107 bytes.
            monkeypatch.chdir(tmp_path)
            socket.socket(socket.AF_UNIX).bind("x")
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case _:
            with (tmp_path / "real").open("w") as stream:
                path.symlink_to("link")
                (tmp_path / "link").symlink_to(f"/proc/self/fd/{stream.fileno()}")
                with pytest.raises(InputError, match="no regular file but a file of one process"):
                    require_regular_file(path)
            return
    with pytest.raises(InputError, match=f"x: is no regular file but a {kind}"):
        require_regular_file(path)


def test_a_loop_of_links_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match=r"a: the file cannot be opened\. Too many levels"):
        require_regular_file(tmp_path / "a")
    with pytest.raises(InputError, match="c: no such file"):
        require_regular_file(tmp_path / "c")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_json_nested_too_deep_is_a_plain_error(text: str) -> None:
    with pytest.raises(ValueError, match="too deep"):
        parse_json(text)
