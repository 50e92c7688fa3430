import json
import shutil

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.report.write import write_report


def test_report_and_card_lie_beside_the_manifest(build, tmp_path):
    folder, manifest = build
    out = shutil.copytree(folder, tmp_path / "out")
    (out / "config.yaml").write_text("seed: 7\n")
    write_report(out, manifest)
    tables = json.loads((out / "report.json").read_text())["tables"]
    assert tables["plain_text"]["rows"] == 6
    assert tables["triples"]["distributions"] == {"relations": {"P36": 1}}
    assert "seed: 7" in (out / "README.md").read_text()
    (out / "config.yaml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"config\.yaml: is damaged"):
        write_report(out, manifest)
    (out / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"config\.yaml: is missing"):
        write_report(out, manifest)
