"""JAKET's benchmarks: entities and graphs that pretraining has not seen."""
