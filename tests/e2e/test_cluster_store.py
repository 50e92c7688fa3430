"""A build into an object store by a cluster whose nodes share no folder with the driver."""

import subprocess
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from tests.e2e.cluster import cluster, without
from tests.e2e.commands import sets
from tests.stores import BUCKET, KEYS, running_store
from tests.torture.store_kills import contents, require_same

pytest.importorskip("s3fs", reason="no S3 client: pip install 'kgcorpus[s3]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_executors_without_a_folder_of_the_driver_give_the_local_bytes(built: Path, tmp_path: Path) -> None:
    driver, node = tmp_path / "driver", tmp_path / "node"
    for folder in (driver / "tmp", node):
        folder.mkdir(parents=True)
    seen = subprocess.run([*without(driver), "ls", "-A", driver], capture_output=True, text=True, check=False)
    if seen.returncode:
        pytest.skip(f"no mount namespaces here: {seen.stderr}")
    assert not seen.stdout
    demo = Path(str(files("kgcorpus.demo")))
    with running_store() as store, cluster(node, hidden=driver, TMPDIR=str(node)) as running:
        client = store.client()
        for name, folder in (("world", demo / "world"), ("dumps", built / "world")):
            for path in (path for path in folder.rglob("*") if path.is_file()):
                client.upload_file(str(path), BUCKET, f"{name}/{path.relative_to(folder)}")
        # A model is a folder on every node.
        settings = sets(
            "spark.partitions=3", "spark.colours=2", f"importance.encoder={demo / 'world' / 'encoder'}"
        )
        job = running.submit(
            *("--config", demo / "config.yaml", "--out", f"{store.url}/out", *settings),
            cwd=driver,
            TMPDIR=str(driver / "tmp"),
            WORLD=f"{store.url}/world",
            DUMPS=f"{store.url}/dumps",
        )
        said = "".join(job.communicate())
        assert job.returncode == 0, said
        require_same(store, "out", built)
        assert not [key for key in contents(store, "out") if key.startswith(("scratch/", "cache/"))]
        # A node fetches a file once, though it runs two workers; the driver reads some of its scratch, too.
        fetched = Counter(
            seen.key
            for seen in store.seen
            if seen.method == "GET" and seen.key.startswith("out/cache/names/")
        )
        assert len(fetched) > 2
        assert {n for key, n in fetched.items() if not key.endswith("/index.json")} == {1}
        scratch = [
            seen.key
            for seen in store.seen
            if seen.method == "PUT"
            and seen.key.startswith("out/scratch/")
            and seen.key.endswith("/index.json")
        ]
        assert {key.split("/")[2] for key in scratch} >= {
            "cycles",
            "titles",
            "surfaces",
            "linked_sentences",
            "trelm",
        }
        # Neither the log of a node nor the store has a key.
        logs = [path.read_bytes() for path in node.rglob("*") if path.is_file()]
        for secret in KEYS.values():
            assert secret not in said
            assert not any(secret.encode() in found for found in [*logs, *contents(store, "out").values()])
