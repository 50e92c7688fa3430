from kgcorpus.report.statistics import build_report


def test_the_report_sums_rows_bytes_and_splits(build):
    out, manifest = build
    report = build_report(manifest.to_dict())
    plain = report["tables"]["plain_text"]
    assert plain["rows"] == 6
    assert plain["splits"] == {"train": 5, "validation": 1, "test": 0}
    assert plain["bytes"] == sum(path.stat().st_size for path in (out / "data" / "plain_text").iterdir())
    assert plain["drops"] == {"too_short": 4, "no_label": 1200}
    assert report["tables"]["jaket_edges"]["splits"] == {"train": 0, "validation": 0, "test": 0}
    assert "splits" not in report["tables"]["triples"]
    assert report["tables"]["triples"]["counts"] == {"lines": 3}
    assert report["sources"] == manifest.sources
    assert report["versions"] == {"pyarrow": "26.0.1"}


def test_an_empty_build_has_an_empty_report():
    assert build_report({"tables": {}, "sources": [], "versions": {}}) == {
        "tables": {},
        "sources": [],
        "versions": {},
    }
