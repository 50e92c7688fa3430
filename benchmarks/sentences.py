"""Sentence borders in ten languages, ours beside spaCy's sentencizer, pySBD and sentencex, in one run.

    python benchmarks/sentences.py --relx ARCHIVE --wikiann ARCHIVE [--rounds 5] [--peers PYTHON]

Gold sentences, twenty joined to a paragraph: RELX's (en, de, es, fr), WikiANN's of six tokens and more that
end in a full stop, their tokens joined (nl), and for the others the examples that spaCy ships: few, but
written by others. Under `LANG-kinds`: sentences
written for the kinds of borders that reports of other tools are about (benchmarks/gold/sentences), their
borders marked by `|`. A border is right if it is at the same character. Peers run in
benchmarks/.venv-peers, with spacy, pysbd and sentencex in it. Writes benchmarks/results/sentences.{json,md}.
"""

import argparse
import importlib
import json
import platform
import re
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

from kgcorpus.contracts.scripts import is_unspaced

HERE = Path(__file__).parent
OURS = "kgcorpus"
LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
RELX = frozenset({"en", "de", "es", "fr"})
WIKIANN = 1_000  # sentences
PARAGRAPH = 20
KINDS = "-kinds"
Ends = Iterable[int]


def kgcorpus(lang: str) -> Callable[[str], Ends]:
    """Ours."""
    from kgcorpus.wiki.sentences import split_sentences

    return lambda text: [end for _, end in split_sentences(text, lang)]


def spacy_sentencizer(lang: str) -> Callable[[str], Ends]:
    """A blank pipeline of the language; Japanese, Korean, Russian and Vietnamese need tools for tokens."""
    import spacy

    nlp = spacy.blank("xx" if lang in ("ja", "ko", "vi", "ru") else lang)
    nlp.add_pipe("sentencizer")
    nlp.max_length = 10**7
    return lambda text: [sentence.end_char for sentence in nlp(text).sents]


def pysbd(lang: str) -> Callable[[str], Ends]:
    """Rules; English serves for Korean, Portuguese and Vietnamese, which are not among its languages."""
    import pysbd as engine

    segmenter = engine.Segmenter("en" if lang in ("ko", "pt", "vi") else lang, clean=False, char_span=True)
    return lambda text: [span.end for span in segmenter.segment(text)]


def sentencex(lang: str) -> Callable[[str], Ends]:
    """Wikimedia's, in Rust."""
    import sentencex as engine

    def ends(text: str) -> list[int]:
        at, found = 0, []
        for part in engine.segment(lang, text):
            at += len(part)
            found.append(at)
        return found

    return ends


CONTENDERS = {
    OURS: kgcorpus,
    "spaCy sentencizer": spacy_sentencizer,
    "pySBD": pysbd,
    "sentencex": sentencex,
}


def contend(name: str) -> None:
    """One contender on the paragraphs of standard input, {lang: texts}; prints its borders and rates."""
    found: dict[str, Any] = {}
    for lang, texts in json.load(sys.stdin).items():
        ends = CONTENDERS[name](lang.removesuffix(KINDS))
        list(ends(texts[0]))
        started = time.process_time()
        raw = [list(ends(text)) for text in texts]
        rate = sum(map(len, texts)) / (time.process_time() - started)
        borders = [[len(text[:end].rstrip()) for end in one] for text, one in zip(texts, raw, strict=True)]
        found[lang] = {"borders": borders, "rate": rate}
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relx", help="tar archive with RELX_de.txt and so on")
    parser.add_argument("--wikiann", help="tar archive with nl/test")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=str(HERE / ".venv-peers" / "bin" / "python"))
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        contend(arguments.contender)
        return
    texts: dict[str, list[str]] = {}
    gold: dict[str, list[list[int]]] = {}
    for lang in LANGUAGES:
        if lang in RELX:
            sentences = relx(member(arguments.relx, f"RELX_{lang}.txt"))
        elif lang == "nl":
            sentences = wikiann(member(arguments.wikiann, "/nl/test"))
        else:
            sentences = importlib.import_module(f"spacy.lang.{lang}.examples").sentences
        texts[lang], gold[lang] = paragraphs(sentences, "" if is_unspaced(lang) else " ")
    for path in sorted((HERE / "gold" / "sentences").glob("*.txt")):
        texts[path.stem + KINDS], gold[path.stem + KINDS] = kinds(path)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(arguments.rounds):
        for name, found in runs.items():
            python = sys.executable if name == OURS else arguments.peers
            command = [python, __file__, "--contender", name]
            done = subprocess.run(command, check=True, input=json.dumps(texts).encode(), capture_output=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    report(gold, runs)


def member(archive: str, suffix: str) -> str:
    """The file of an archive whose name ends so."""
    with tarfile.open(archive) as members:
        name = next(name for name in members.getnames() if name.endswith(suffix))
        stream = members.extractfile(name)
        return stream.read().decode() if stream else ""


def relx(content: str) -> list[str]:
    """Lines `number TAB "sentence"`, with the two entities marked."""
    quoted = re.findall(r'^\d+\t"(.*)"$', content, re.MULTILINE)
    return [" ".join(re.sub(r"</?e[12]>", " ", sentence).split()) for sentence in quoted]


def wikiann(content: str) -> list[str]:
    """Blocks of lines `lang:token TAB tag`."""
    blocks = [re.findall(r"^\w+:(\S+)\t", block, re.MULTILINE) for block in content.split("\n\n")]
    whole = [tokens for tokens in blocks if len(tokens) > 5 and tokens[-1] == "." and tokens[0][0].isupper()]
    return [re.sub(r" (?=[.,:;!?)])|(?<=\() ", "", " ".join(tokens)) for tokens in whole[:WIKIANN]]


def paragraphs(sentences: list[str], separator: str) -> tuple[list[str], list[list[int]]]:
    """Paragraphs of sentences with an end mark, and where these end in each."""
    whole = [text.strip() for text in sentences if re.search(r"[.!?。！？][\"'”’»)」]*$", text.strip())]
    parts = [whole[at : at + PARAGRAPH] for at in range(0, len(whole), PARAGRAPH)]
    ends = [
        [length - len(separator) for length in accumulate(len(text) + len(separator) for text in part)]
        for part in parts
    ]
    return [separator.join(part) for part in parts], ends


def kinds(path: Path) -> tuple[list[str], list[list[int]]]:
    """Paragraphs of a gold file, one a line, and where their sentences end."""
    separator = "" if is_unspaced(path.stem) else " "
    parts = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    ends = [
        [length - len(separator) for length in accumulate(len(text) + len(separator) for text in part)]
        for part in parts
    ]
    return [separator.join(part) for part in parts], ends


def report(gold: dict[str, list[list[int]]], runs: dict[str, list[dict[str, Any]]]) -> None:
    """The runs as JSON, and F1 and rates as a Markdown table."""
    head = [f"{lang} ({sum(map(len, ends))})" for lang, ends in gold.items()]
    lines = [
        "# Sentence borders",
        "",
        "F1 of borders by language (sentences), and the median rate over the languages, without the kinds, in"
        f" million characters a CPU second, {len(runs[OURS])} interleaved rounds. The kinds were written and"
        " corrected beside our rules: they show what these cover.",
        "",
        f"| | {' | '.join(head)} | all | Mchar/s |",
        "|---|" + "---|" * (len(gold) + 2),
    ]
    for name, found in runs.items():
        scores, total = [], [0, 0, 0]
        for lang, ends in gold.items():
            borders = found[0][lang]["borders"]
            right = sum(len(set(a) & set(b)) for a, b in zip(borders, ends, strict=True))
            counts = right, sum(map(len, borders)), sum(map(len, ends))
            total = [a + b for a, b in zip(total, counts, strict=True)]
            scores.append(f1(*counts))
        timed = [lang for lang in gold if not lang.endswith(KINDS)]
        rate = statistics.median(run[lang]["rate"] for run in found for lang in timed) / 1e6
        cells = " | ".join(f"{score:.2f}" for score in (*scores, f1(*total)))
        lines.append(f"| {name} | {cells} | {rate:.2f} |")
    shown = {"python": platform.python_version(), "gold": gold}
    stem = HERE / "results" / "sentences"
    stem.with_suffix(".json").write_text(json.dumps({**shown, "runs": runs}) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def f1(right: int, found: int, wanted: int) -> float:
    """Of borders."""
    return 2 * right / (found + wanted)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
