"""kgcorpus: from a Wikipedia dump and the Wikidata graph to training shards."""

from kgcorpus.contracts.signals import show_interrupts

__version__ = "0.1.0"

show_interrupts()
