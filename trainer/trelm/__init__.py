"""TRELM (arXiv 2403.11203): knowledge injection, decoding of facts, memory bank and dynamic routing."""
