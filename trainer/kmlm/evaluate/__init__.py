"""KMLM's benchmarks: held-out cycles and XLR's questions of a finished build."""
