"""What an entity is about, in words: its own names and the names of its neighbours in the graph.

A meaning is the likelier, the more of these words, and the rarer ones, stand around the name in the text.
Words have two characters or more and are compared in lower case, without the function words of the language.
Scripts without spaces have none: their tokens are single characters.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Bools, Float32s, Int32s, Int64s, UInt64s
from kgcorpus.contracts.languages import nearest
from kgcorpus.kg.compiled import njit
from kgcorpus.linking.characters import codes_of, lower_character_table
from kgcorpus.linking.function_words import FUNCTION_WORDS
from kgcorpus.linking.relatedness import Sets, sets_of
from kgcorpus.linking.spotter_tokens import Tokens, particle_hashes, tokenize

AROUND = 90  # characters of the text on either side of a name
_SHORTEST = 2  # characters of a word


class Descriptions(NamedTuple):
    """The words of those of N entities that share a name with another.

    Attributes:
        words: numbers of each such entity's words.
        rarity: [V] log(described entities / those with the word) of each word.
        hashes: [V] the words' hashes, ascending; a word's number is its place here.
    """

    words: Sets
    rarity: Float32s
    hashes: UInt64s


class Around(NamedTuple):
    """Numbers of the distinct words around each of m spots, ascending.

    Those of the i-th are `words[offsets[i]:offsets[i + 1]]`.
    """

    offsets: Int64s
    words: Int32s


def describe(
    entities: pa.Array, asked: Bools, names: pa.Table, neighbours: tuple[Int64s, Int64s], *, lang: str
) -> Descriptions:
    """The descriptions in one language.

    Args:
        entities: [N] distinct ids.
        asked: [N] whether an entity is to be described.
        names: columns surface, target and main. All names of an entity describe it, and its label or title
            (`main`) describes its neighbours.
        neighbours: [E] two arrays of numbers of entities; each describes the other.
    """
    rows, hashes = _words_of(names["surface"].combine_chunks(), lang)
    vocabulary, numbers = np.unique(hashes, return_inverse=True)
    targets = pc.index_in(names["target"].combine_chunks().cast(entities.type), entities).to_numpy()
    owners, label = targets[rows], names["main"].combine_chunks().to_numpy(zero_copy_only=False)[rows]
    labels = sets_of(owners[label], numbers[label], n=len(entities), universe=len(vocabulary))
    a, b = (np.concatenate(ends) for ends in (neighbours, neighbours[::-1]))
    a, b = a[asked[a]], b[asked[a]]
    sizes = np.diff(labels.offsets)[b]
    places = np.repeat(labels.offsets[b] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    owners = np.concatenate([np.where(asked[owners], owners, -1), np.repeat(a, sizes)])
    numbers = np.concatenate([numbers, labels.items[places]])
    # Numbers of the words that describe an entity, which are fewer.
    used, numbers = np.unique(numbers[owners >= 0], return_inverse=True)
    words = sets_of(owners[owners >= 0], numbers, n=len(entities), universe=len(used))
    described = np.count_nonzero(np.diff(words.offsets))
    frequency = np.bincount(words.items, minlength=len(used))
    return Descriptions(words, np.log(described / frequency).astype(np.float32), vocabulary[used])


def words_around(tokens: Tokens, starts: Int64s, ends: Int64s, asked: Bools, hashes: UInt64s) -> Around:
    """The known words around spots of a text.

    Args:
        tokens: of the text in lower case (`Spotter.lower_tokens`).
        starts, ends: [m] disjoint spots in order, in code points.
        asked: [m] of which spots; the others get none.
        hashes: of `Descriptions`.
    """
    places = np.searchsorted(hashes, tokens.hashes).astype(np.int32)
    places[places == len(hashes)] = 0
    known = hashes[places] == tokens.hashes if len(hashes) else np.zeros(len(places), bool)
    known &= _are_words(tokens)
    return _around(tokens.starts[known], tokens.ends[known], places[known], starts, ends, asked)


def nothing_around(spots: int) -> Around:
    """No words around any spot."""
    return Around(np.zeros(spots + 1, np.int64), np.zeros(0, np.int32))


@njit(cache=True)
def _around(
    firsts: Int32s, lasts: Int32s, words: Int32s, starts: Int64s, ends: Int64s, asked: Bools
) -> Around:
    """Words with their spans [k], around spots [m]."""
    m, k = len(starts), len(words)
    offsets = np.zeros(m + 1, np.int64)
    found = np.empty(4 * k + 8, np.int32)
    begin, count = 0, 0
    for i in range(m):
        while begin < k and firsts[begin] < starts[i] - AROUND:
            begin += 1
        first, at = count, begin
        while asked[i] and at < k and lasts[at] <= ends[i] + AROUND:
            if lasts[at] <= starts[i] or firsts[at] >= ends[i]:
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[count] = words[at]
                count += 1
            at += 1
        own = np.sort(found[first:count])
        count = first
        for j in range(len(own)):
            if j == 0 or own[j] != own[j - 1]:
                found[count] = own[j]
                count += 1
        offsets[i + 1] = count
    return Around(offsets, found[:count].copy())


@njit(cache=True)
def shared_rarity(entity: int, around: Int32s, words: Sets, rarity: Float32s) -> float:
    """The sum of the rarities of the words that are around and describe the entity.

    Args:
        around: distinct numbers of words, ascending.
        words, rarity: of `Descriptions`.
    """
    at, end = words.offsets[entity], words.offsets[entity + 1]
    total = 0.0
    for word in around:
        at += np.searchsorted(words.items[at:end], word)
        if at == end:
            break
        if words.items[at] == word:
            total += rarity[word]
    return total


def _words_of(texts: pa.Array, lang: str) -> tuple[Int64s, UInt64s]:
    """Each word of the texts, none of which has a line break: the text's number, and the word's hash."""
    tokens, lines = _tokens(texts.to_pylist())
    function = _tokens(sorted(nearest(FUNCTION_WORDS, lang, frozenset())))[0].hashes
    kept = _are_words(tokens) & ~np.isin(tokens.hashes, function)
    return np.searchsorted(lines, tokens.starts[kept], side="right"), tokens.hashes[kept]


def _tokens(texts: list[str]) -> tuple[Tokens, Int64s]:
    """The tokens of texts, a line each, in lower case; and the places of the line breaks."""
    codes = codes_of("\n".join(texts))
    tokens = tokenize(codes, lower_character_table(), particle_hashes())
    return tokens, np.flatnonzero(codes == ord("\n"))


def _are_words(tokens: Tokens) -> Bools:
    return tokens.ends - tokens.starts >= _SHORTEST
