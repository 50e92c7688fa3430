"""The knowledge graph: its files, its names, its adjacency and its cycles."""
