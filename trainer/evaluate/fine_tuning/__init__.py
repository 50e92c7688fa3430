"""Benchmarks that fine-tune a masked language model, one file each, and the harness they share."""
