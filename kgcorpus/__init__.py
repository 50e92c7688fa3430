"""kgcorpus: from a Wikipedia dump and the Wikidata graph to training shards.

A notebook's way in:

    import kgcorpus

    corpus = kgcorpus.build("my.yaml", "OUT")        # or kgcorpus.Corpus.open("OUT")
    corpus.records("reasoning", n=3)                 # shown with their spans marked
    corpus.dataset("passages").head(10)              # Arrow
    corpus.linker("en").link("Marie Curie was born in Warsaw.")
    kgcorpus.train("kmlm", corpus, "RUN")

Names are imported at their first use, so that `import kgcorpus` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kgcorpus.contracts.own_packages import require_own_package
from kgcorpus.contracts.signals import show_interrupts

if TYPE_CHECKING:
    from kgcorpus.api import build, evaluate, train
    from kgcorpus.corpus import Corpus, Record
    from kgcorpus.linking.linker import Linker
    from pipelines.stages import register_stage
    from trainer.evaluate.registry import register_benchmark
    from trainer.registry import register_objective

__all__ = [
    "Corpus",
    "Linker",
    "Record",
    "build",
    "evaluate",
    "register_benchmark",
    "register_objective",
    "register_stage",
    "train",
]
__version__ = "0.2.0"

_HOMES = {
    "Corpus": "kgcorpus.corpus",
    "Linker": "kgcorpus.linking.linker",
    "Record": "kgcorpus.corpus",
    "build": "kgcorpus.api",
    "evaluate": "kgcorpus.api",
    "register_benchmark": "trainer.evaluate.registry",
    "register_objective": "trainer.registry",
    "register_stage": "pipelines.stages",
    "train": "kgcorpus.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if (package := home.partition(".")[0]) != __name__:
        require_own_package(package)
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


show_interrupts()
