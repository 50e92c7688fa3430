"""A stand-in for the Hugging Face Hub on the loopback interface: repositories, commits, LFS, downloads.

It serves what huggingface_hub asks without Xet. Commits are atomic, large files are kept by their SHA-256, a
private repository needs the token.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_loopbackTokenOfTheTests"
_LARGE = (".parquet", ".safetensors", ".npy")
_REPOSITORY = r"/api/(?P<kind>model|dataset)s/(?P<name>[\w.-]+/[\w.-]+)"


@dataclass
class Repository:
    """Commits as (id, path -> bytes), the newest last."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit; returns its id."""
        names = sorted((path, hashlib.sha256(data).hexdigest()) for path, data in files.items())
        text = json.dumps([len(self.commits), names])
        self.commits.append((hashlib.sha1(text.encode()).hexdigest(), files))
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision: `main`, or a commit's id."""
        if revision in ("main", "HEAD"):
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Hub:
    """State of the server.

    Attributes:
        commits_left: commits that succeed before the next one fails with 500; None for all.
        uploads: SHA-256 of each large file that was sent.
    """

    url: str = ""
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    commits_left: int | None = None

    def files(self, kind: str, name: str) -> dict[str, bytes]:
        """The files of a repository's newest commit, without what the hub itself adds."""
        files = self.repositories[kind, name].commits[-1][1]
        return {path: data for path, data in files.items() if path != ".gitattributes"}


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """Serve a hub without repositories."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._get(head=True)

    def do_GET(self) -> None:
        self._get(head=False)

    def do_PUT(self) -> None:
        data, oid = self._body(), self.path.rpartition("/")[2]
        assert hashlib.sha256(data).hexdigest() == oid
        self.state.blobs[oid] = data
        self.state.uploads.append(oid)
        self._answer(200)

    def do_POST(self) -> None:
        body, path = self._body(), urlsplit(self.path).path
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if not self._knows_token():
            return self._refused()
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        match = re.fullmatch(
            _REPOSITORY + r"/(?P<what>preupload|commit|paths-info)/(?P<revision>[^/]+)", path
        )
        if match is None:
            return self._answer(404)
        repository = self.state.repositories[match["kind"], match["name"]]
        if match["what"] == "preupload":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs"
                    if re.search(r"\.(parquet|safetensors|npy)$", file["path"])
                    else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if match["what"] == "paths-info":
            found = repository.at(unquote(match["revision"]))
            wanted = self._form(body)
            tree = _tree(found[1] if found else {})
            return self._json([entry for entry in tree if entry["path"] in wanted])
        return self._commit(match, [json.loads(line) for line in body.splitlines() if line])

    def _form(self, body: bytes) -> list[str]:
        if "json" in self.headers.get("Content-Type", ""):
            paths = json.loads(body)["paths"]
            return [paths] if isinstance(paths, str) else paths
        return [unquote(part.partition("=")[2].replace("+", " ")) for part in body.decode().split("&")]

    def _create(self, wanted: dict[str, Any]) -> None:
        kind = str(wanted.get("type") or "model")
        name = f"{wanted['organization']}/{wanted['name']}"
        key = (kind, name)
        url = f"{self.state.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if key in self.state.repositories:
            return self._json({"error": "exists", "url": url}, status=409)
        private = wanted.get("private") is True or wanted.get("visibility") == "private"
        self.state.repositories[key] = Repository(private)
        self.state.repositories[key].commit({".gitattributes": b"*.parquet filter=lfs\n"})
        return self._json({"url": url})

    def _batch(self, wanted: dict[str, list[dict[str, Any]]]) -> None:
        objects = []
        for one in wanted["objects"]:
            answer = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.state.blobs:
                answer["actions"] = {"upload": {"href": f"{self.state.url}/lfs/{one['oid']}"}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, match: re.Match[str], lines: list[dict[str, Any]]) -> None:
        repository = self.state.repositories[match["kind"], match["name"]]
        if self.state.commits_left == 0:
            # As a proxy might: it answers with the headers of the request.
            return self._json({"error": f"internal error for {self.headers['Authorization']}"}, status=500)
        parent = lines[0]["value"].get("parentCommit")
        if parent is not None and parent != repository.commits[-1][0]:
            return self._json({"error": "the parent is not the newest commit"}, status=412)
        files = dict(repository.commits[-1][1])
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.state.blobs[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        if self.state.commits_left is not None:
            self.state.commits_left -= 1
        oid, prefix = repository.commit(files), "datasets/" if match["kind"] == "dataset" else ""
        url = f"{self.state.url}/{prefix}{match['name']}/commit/{oid}"
        return self._json({"commitUrl": url, "commitOid": oid})

    def _get(self, *, head: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        match = re.fullmatch(
            r"/(?P<data>datasets/)?(?P<name>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", path
        )
        if match:
            return self._resolve("dataset" if match["data"] else "model", match, head=head)
        match = re.fullmatch(
            _REPOSITORY + r"(/(?P<what>revision|tree)/(?P<revision>[^/]+)(/(?P<path>.*))?)?", path
        )
        repository = self._open(match["kind"], match["name"]) if match else None
        if match is None or repository is None:
            return self._refused()
        commit = repository.at(match["revision"] or "main")
        if commit is None:
            return self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        if match["what"] == "tree":
            below = f"{match['path']}/" if match["path"] else ""
            recursive = "recursive=true" in self.path.lower()
            entries = [entry for entry in _tree(commit[1]) if entry["path"].startswith(below)]
            if not recursive:
                entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(below)]
            return self._json(entries)
        siblings = [{"rfilename": name} for name in commit[1]]
        return self._json(
            {
                "id": match["name"],
                "sha": commit[0],
                "private": repository.private,
                "siblings": siblings,
                "tags": [],
            }
        )

    def _resolve(self, kind: str, match: re.Match[str], *, head: bool) -> None:
        repository = self._open(kind, match["name"])
        if repository is None:
            return self._refused()
        commit = repository.at(match["revision"])
        if commit is None:
            return self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        data = commit[1].get(match["path"])
        if data is None:
            return self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit[0]})
        status, headers = 200, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit[0]}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            end = min(int(wanted[2] or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {wanted[1]}-{end}/{len(data)}"
            status, data = 206, data[int(wanted[1]) : end + 1]
        return self._answer(status, headers, data, head=head)

    def _open(self, kind: str, name: str) -> Repository | None:
        repository = self.state.repositories.get((kind, name))
        return repository if repository and (self._knows_token() or not repository.private) else None

    def _knows_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _refused(self) -> None:
        self._answer(401, {"X-Error-Code": "RepoNotFound"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, value: object, *, status: int = 200) -> None:
        self._answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _answer(
        self, status: int, headers: dict[str, str] | None = None, data: bytes = b"", *, head: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(data)


def _tree(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """All files and folders, as the hub lists them."""
    folders = {"/".join(path.split("/")[:n]) for path in files for n in range(1, path.count("/") + 1)}
    entries: list[dict[str, Any]] = [
        {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in sorted(folders)
    ]
    for path, data in sorted(files.items()):
        digest = hashlib.sha256(data).hexdigest()
        entry: dict[str, Any] = {"type": "file", "path": path, "oid": digest[:40], "size": len(data)}
        if path.endswith(_LARGE):
            entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 134}
        entries.append(entry)
    return entries
