"""Interface of the linker for pages: the type `Mention`, and the protocol `GraphLinker`."""

from typing import NamedTuple, Protocol


class Mention(NamedTuple):
    """A name in a text: its span in code points, its entity's id, the confidence from 0 to 1."""

    start: int
    end: int
    entity: str
    confidence: float
    source: str = "dictionary"


class GraphLinker(Protocol):
    """Finds entities of the graph; `kgcorpus.linking.linker.Linker` is one."""

    def link_to_graph(self, text: str) -> list[Mention]:
        """Return the mentions of entities of the graph; disjoint, in order of position."""
