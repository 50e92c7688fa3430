"""kgcorpus: from a Wikipedia dump and the Wikidata graph to training shards."""

__version__ = "0.1.0"
