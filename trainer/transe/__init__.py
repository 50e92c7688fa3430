"""TransE (Bordes et al. 2013): embeddings of the graph, which TRELM injects. It has a loop of its own."""
