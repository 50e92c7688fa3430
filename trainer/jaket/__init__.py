"""JAKET (arXiv 2010.00796): a language model and a graph network that read each other."""
