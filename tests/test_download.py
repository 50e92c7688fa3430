"""`kgcorpus download`, against a mirror on the loopback interface."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from tests.made import command

DATE = "20260901"
BASE = f"/enwiki/{DATE}/enwiki-{DATE}"
NAMES = ("pages-articles-multistream.xml.bz2", "pages-articles-multistream-index.txt.bz2")
TABLES = ("page.sql.gz", "page_props.sql.gz", "redirect.sql.gz")


class Mirror(http.server.ThreadingHTTPServer):
    """Serves bytes by path, with ranges; `cuts` closes that many answers in the middle."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cuts, self.asked, self.has_ranges, self.etag = files, 0, [], True, "1"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, *, with_body):
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range") if self.server.has_ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        if with_body:
            self.server.asked.append((self.path.rpartition("/")[2], start))
            end = len(content)
            if self.server.cuts and len(content) > 1000:
                self.server.cuts -= 1
                end = start + (len(content) - start) // 2
            self.wfile.write(content[start:end])

    def log_message(self, *words):
        pass


@pytest.fixture
def mirror():
    files = {f"{BASE}-{name}": f"{name} ".encode() * 3000 for name in (*NAMES, *TABLES)}
    sums = [f"{hashlib.sha1(data).hexdigest()}  {path.rpartition('/')[2]}" for path, data in files.items()]
    server = Mirror({**files, f"{BASE}-sha1sums.txt": "\n".join(sums).encode()})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def download(server, to, *more, name=f"enwiki-{DATE}"):
    return command("download", name, "--to", to, "--mirror", server.url, *more)


def holds_all(server, to):
    whole = {path.name: path.read_bytes() for path in Path(to).iterdir()}
    return whole == {
        path.rpartition("/")[2]: data for path, data in server.files.items() if "sha1sums" not in path
    }


def test_sizes_come_first_and_a_plan_fetches_nothing(mirror, tmp_path, capsys):
    assert download(mirror, tmp_path / "dumps", "--plan") == 0
    out = capsys.readouterr().out
    total = sum(len(data) for path, data in mirror.files.items() if "sha1sums" not in path)
    assert f"files: 5, to fetch: {total:,} bytes" in out
    assert not (tmp_path / "dumps").exists()
    assert {name for name, _ in mirror.asked} == {f"enwiki-{DATE}-sha1sums.txt"}


def test_a_broken_connection_is_resumed_where_it_broke(mirror, tmp_path, capsys):
    mirror.cuts = 2
    assert download(mirror, tmp_path) == 0
    assert holds_all(mirror, tmp_path)
    first = [start for name, start in mirror.asked if name.endswith("multistream.xml.bz2")]
    assert first[0] == 0
    assert sorted(first) == first
    assert first[1] > 0
    assert "SHA-1 as published" in capsys.readouterr().out


def test_a_second_call_goes_on_from_the_part_and_a_third_fetches_nothing(mirror, tmp_path):
    mirror.cuts = 4
    assert download(mirror, tmp_path) == 3
    (part,) = tmp_path.glob("*.part")
    size = part.stat().st_size
    assert size > 0
    mirror.asked.clear()
    assert download(mirror, tmp_path) == 0
    assert (part.name.removesuffix(".part"), size) in mirror.asked
    assert holds_all(mirror, tmp_path)
    mirror.asked.clear()
    assert download(mirror, tmp_path) == 0
    assert {name for name, _ in mirror.asked} == {f"enwiki-{DATE}-sha1sums.txt"}


@pytest.mark.parametrize("change", ["ranges", "version"])
def test_a_part_that_cannot_be_continued_is_fetched_again(mirror, tmp_path, change):
    mirror.cuts = 4
    assert download(mirror, tmp_path) == 3
    if change == "ranges":
        mirror.has_ranges = False
    else:
        mirror.etag = "2"
    assert download(mirror, tmp_path) == 0
    assert holds_all(mirror, tmp_path)


def test_bytes_that_differ_from_the_published_sum_are_deleted_and_named(mirror, tmp_path, capsys):
    path = f"{BASE}-page.sql.gz"
    mirror.files[path] = mirror.files[path][:-1] + b"!"
    assert download(mirror, tmp_path) == 3
    assert f"enwiki-{DATE}-page.sql.gz.part: has the SHA-1" in capsys.readouterr().err
    assert not list(tmp_path.glob(f"enwiki-{DATE}-page.sql.gz*"))


def test_a_file_without_published_sum_is_compared_by_size(mirror, tmp_path, capsys):
    mirror.files["/cc-100/de.txt.xz"] = b"text" * 9
    assert download(mirror, tmp_path, name="cc100-de") == 0
    assert (tmp_path / "de.txt.xz").read_bytes() == b"text" * 9
    assert "no checksum is published" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [("enwiki-20010101", 3, "HTTP 404"), ("../etc/passwd", 2, "cannot download"), ("lamaa", 2, "lama")],
)
def test_what_is_not_published_or_not_known_is_one_line(mirror, tmp_path, capsys, name, code, text):
    assert download(mirror, tmp_path / "to", name=name) == code
    assert text in capsys.readouterr().err
    assert not (tmp_path / "to").exists()
