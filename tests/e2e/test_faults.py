"""Every fault ends in one clear line and the right exit code; docs/faults.md shows them as they are here."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.faults import environment, folder, inputs, sources, training
from tests.e2e.faults.place import NO_MODEL, Fault, Place, shown

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FAULTS = (*inputs.FAULTS, *sources.FAULTS, *folder.FAULTS, *environment.FAULTS, *training.FAULTS)
DOC = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
WHERE_WHAT_HINT = re.compile(r"error: .+?: .+(\. [A-Z].+|, did you mean \S+\?)")
HEAD = "| fault | tried | exit | what is said | afterwards |\n| --- | --- | --- | --- | --- |"


def rows_of(document: str) -> dict[str, str]:
    table = document.partition(BEGIN)[2].partition(END)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows[2:]}


def put(row: str, name: str) -> None:
    """Renew one row; the rows stand in the order of `FAULTS`."""
    text = DOC.read_text()
    rows = rows_of(text) | {name: row}
    ordered = "\n".join(rows[fault.name] for fault in FAULTS if fault.name in rows)
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOC.write_text(f"{before}{BEGIN}\n{HEAD}\n{ordered}\n{END}{after}")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_ends_in_one_clear_line(fault: Fault, built: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, built)
    try:
        done = fault.provoke(place)
    except subprocess.CalledProcessError as error:
        if error.cmd[0] in ("mount", "chown"):
            pytest.skip(f"{error.cmd[0]} is not allowed here")
        raise
    assert done.returncode == fault.code, done.stderr
    assert "Traceback" not in done.stderr
    assert sum(line.startswith("error:") for line in done.stderr.splitlines()) == bool(fault.code)
    if fault.after == Fault.after:
        assert not [path for path in (place.out / "tables").rglob("*") if path.is_file()]
    if fault.after.startswith(NO_MODEL):
        assert not (place.folder / "RUN" / "model").exists()
    assert not fault.code or WHERE_WHAT_HINT.fullmatch(shown(done, place))
    said = f"`{shown(done, place)}`" if fault.code else "-"
    row = f"| {fault.name} | {fault.tried} | {fault.code} | {said} | {fault.after} |"
    if "KGCORPUS_RENEW_DOCS" in os.environ:
        put(row, fault.name)
    assert rows_of(DOC.read_text())[fault.name] == row, "renew docs/faults.md with KGCORPUS_RENEW_DOCS=1"


def test_the_document_names_every_fault_and_no_other() -> None:
    assert list(rows_of(DOC.read_text())) == [fault.name for fault in FAULTS]
