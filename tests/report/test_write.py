import json

from kgcorpus.report.write import write_report


def test_report_and_card_lie_beside_the_manifest(build, tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 7\n")
    write_report(tmp_path, build[1])
    assert json.loads((tmp_path / "report.json").read_text())["tables"]["plain_text"]["rows"] == 6
    assert "seed: 7" in (tmp_path / "README.md").read_text()
