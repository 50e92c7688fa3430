"""The contenders of `spotter.py`: `python spotter_contenders.py NAME FOLDER` prints one run as JSON."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Spotter = Callable[[str], int]
WORD = str.isalnum


def kgcorpus(names: list[str], folder: Path) -> Spotter:
    """Ours, from the files that `save` has left, as every worker reads it."""
    from kgcorpus.linking.spotter import Spotter as Ours

    Ours.build(names).save(folder / "spotter")
    spotter = Ours.open(folder / "spotter")
    return lambda text: len(spotter.longest(text).starts)


def ahocorasick_rs(names: list[str], folder: Path) -> Spotter:
    """Leftmost longest, then only matches between borders of words."""
    import ahocorasick_rs as engine

    matcher = engine.AhoCorasick(names, matchkind=engine.MatchKind.LeftmostLongest, store_patterns=False)
    return lambda text: sum(
        bounded(text, start, end) for _, start, end in matcher.find_matches_as_indexes(text)
    )


def pyahocorasick(names: list[str], folder: Path) -> Spotter:
    """Iterates over the longest."""
    import ahocorasick as engine

    matcher = engine.Automaton()
    for name in names:
        matcher.add_word(name, len(name))
    matcher.make_automaton()
    return lambda text: sum(bounded(text, end + 1 - n, end + 1) for end, n in matcher.iter_long(text))


def flashtext2(names: list[str], folder: Path) -> Spotter:
    """Borders of words by itself."""
    import flashtext2 as engine

    matcher = engine.KeywordProcessor(case_sensitive=True)
    matcher.add_keywords_from_iter(names)
    return lambda text: len(matcher.extract_keywords(text))


def spacy_phrase_matcher(names: list[str], folder: Path) -> Spotter:
    """Over a blank pipeline's tokens, which are made in the measured time too."""
    import spacy
    from spacy.matcher import PhraseMatcher
    from spacy.util import filter_spans

    nlp = spacy.blank("en")
    nlp.max_length = 10**9
    matcher = PhraseMatcher(nlp.vocab)
    matcher.add("NAME", [nlp.make_doc(name) for name in names])
    return lambda text: len(filter_spans(matcher(nlp.make_doc(text), as_spans=True)))


CONTENDERS: dict[str, Callable[[list[str], Path], Spotter]] = {
    "kgcorpus": kgcorpus,
    "ahocorasick_rs": ahocorasick_rs,
    "pyahocorasick": pyahocorasick,
    "flashtext2": flashtext2,
    "spaCy PhraseMatcher": spacy_phrase_matcher,
}


def bounded(text: str, start: int, end: int) -> bool:
    """Whether no word continues at either end."""
    return not (
        (start and WORD(text[start - 1]) and WORD(text[start]))
        or (end < len(text) and WORD(text[end]) and WORD(text[end - 1]))
    )


def lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield line.rstrip("\n")


def main() -> None:
    """Build once, then read the text; compilation and imports are not counted."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    texts = list(lines(folder / "text.txt"))
    build = CONTENDERS[name]
    build(["a name"], folder)("a text with a name")
    names = list(lines(folder / "names.txt"))
    before, started = memory("VmRSS"), time.process_time()
    spot = build(names, folder)
    built, grown = time.process_time() - started, memory("VmRSS") - before
    del names
    started = time.process_time()
    found = sum(map(spot, texts))
    cpu = time.process_time() - started
    run = {"build_cpu": built, "cpu": cpu, "mchar": sum(map(len, texts)) / cpu / 1e6, "found": found}
    # Our dictionary is memory-mapped; its pages count when they are first read.
    mapped = sum(path.stat().st_size for path in folder.glob("spotter/**/*.npy")) if name == "kgcorpus" else 0
    print(json.dumps(run | {"mib": max(mapped / 2**20, grown)}))


def memory(kind: str) -> float:
    """MiB of this process."""
    return int(Path(f"/proc/{os.getpid()}/status").read_text().partition(f"{kind}:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
