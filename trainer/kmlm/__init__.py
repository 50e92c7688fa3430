"""KMLM (arXiv 2111.10962): its settings, masks, objective and benchmarks."""
