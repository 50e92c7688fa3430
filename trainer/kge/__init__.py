"""Embeddings of a knowledge graph: TransE on the corpus's triples."""
