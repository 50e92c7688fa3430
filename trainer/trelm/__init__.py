"""TRELM (arXiv 2403.11203): injected knowledge, its decoding task, and a memory of what is rare."""
