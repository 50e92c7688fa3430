"""Benchmarks that ask a masked language model for facts without training it."""
