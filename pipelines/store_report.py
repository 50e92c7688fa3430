"""`kgcorpus report` for a build in an object store."""

from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.mirror import manifest_of
from kgcorpus.report.page.build_page import PAGE, write_page
from kgcorpus.report.write import write_report
from pipelines.store_build import StoreBuild


def rewrite_report(url: str) -> str:
    """Write report.json, report.html and the card of a finished build again, from its tables.

    Returns:
        The URL of report.html.

    Raises:
        UsageError: a build is at work there.
        InputError: there is no finished build, or a shard is missing or truncated.
    """
    # Refuses a wrong URL before the lock is written there.
    manifest_of(url)
    out = StoreBuild(url)
    with out.lock():
        manifest = manifest_of(url)
        manifest.check_pending(url, manifest.tables.keys() | manifest.pending)
        for name, entry in manifest.tables.items():
            if not out.is_whole(entry, FileDigests(out.path / MEMORY)):
                raise InputError(
                    f"a file of the table {name} is missing, or not of the length that the manifest names",
                    where=url,
                    hint="Run the same kgcorpus build-corpus again",
                )
        write_page(out.path, manifest, write_report(out.path, manifest, place=out.place), place=out.place)
        out.send("report.json", "README.md", PAGE)
    return f"{out.place}/{PAGE}"
