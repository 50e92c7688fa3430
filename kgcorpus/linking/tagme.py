"""Disambiguation: chooses the entity of each spot, by TAGME (Ferragina and Scaiella, 2010).

Each spot votes for the candidates of the spots around it, by relatedness times commonness; of the candidates
with almost the highest vote the commonest wins. Its confidence rho is the mean of the spot's link probability
and of the winner's relatedness to the winners around it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Bools, Float32s, Int32s, Int64s
from kgcorpus.kg.compiled import njit
from kgcorpus.linking.descriptions import Around, shared_rarity
from kgcorpus.linking.relatedness import Memo, Sets, empty_memo, relatedness


class Senses(NamedTuple):
    """The candidates of F names.

    Attributes:
        probability: [F] link probability.
        offsets: [F + 1] each name's first candidate.
        entities, commonness: [C] candidates, the commonest first; a name's commonness sums to 1.
        main: [C] the name is the candidate's label or title, not only an alias or the text of a link.
        raised: [F] the name is in the dictionary in lower case only, and this is its form with a capital.
        pages: [N] the entity is a page without an item (`targets.page_target`).
        links: pages that link to each entity.
        graph: the graph's neighbours of each entity, itself among them.
        words, rarity: of `descriptions.Descriptions`.
    """

    probability: Float32s
    offsets: Int64s
    entities: Int32s
    commonness: Float32s
    main: Bools
    raised: Bools
    pages: Bools
    links: Sets
    graph: Sets
    words: Sets
    rarity: Float32s


class Rules(NamedTuple):
    """The constants; see `LinkingConfig`. A `vote_weight` of 0 selects TAGME's own choice."""

    min_probability: float
    window: int
    nested_ratio: float
    context_mentions: int
    epsilon: float
    tau: float
    graph_weight: float
    vote_weight: float
    vote_floor: float
    word_weight: float


class Choices(NamedTuple):
    """[m] what is chosen for each spot.

    Attributes:
        entities: the chosen entity, -1 for none.
        commonness: its commonness.
        vote: the mean vote for it.
        share: its share of the candidates' exp(score): how clear the choice is.
        main: the name is its label or title.
        coherence: its mean relatedness to the other choices around.
        rho: TAGME's confidence.
    """

    entities: Int32s
    commonness: Float32s
    vote: Float32s
    share: Float32s
    main: Bools
    coherence: Float32s
    rho: Float32s


@njit(cache=True)
def choose_spots(
    first: Int32s,
    last: Int32s,
    names: Int32s,
    senses: Senses,
    min_probability: float,
    window: int,
    ratio: float,
) -> Int64s:
    """Which of all spots stay, disjoint and in order.

    From the left the longest wins, but not over a shorter one inside it whose link probability is `ratio`
    times its own.

    Args:
        first, last: [n] tokens of the spots, sorted by first, then last.
    """
    n = len(first)
    usable = np.zeros(n, np.bool_)
    for i in range(n):
        has_sense = senses.offsets[names[i] + 1] > senses.offsets[names[i]]
        usable[i] = (
            has_sense
            and senses.probability[names[i]] >= np.float32(min_probability)
            and last[i] - first[i] < window
        )
    kept = np.empty(n, np.int64)
    count, free, i = 0, 0, 0
    while i < n:
        same = i
        while same < n and first[same] == first[i]:
            same += 1
        if first[i] >= free:
            for j in range(same - 1, i - 1, -1):
                if usable[j] and not _has_stronger_inside(i, j, first, last, names, usable, senses, ratio):
                    kept[count], free = j, last[j] + 1
                    count += 1
                    break
        i = same
    return kept[:count]


@njit(cache=True)
def _has_stronger_inside(
    begin: int,
    spot: int,
    first: Int32s,
    last: Int32s,
    names: Int32s,
    usable: NDArray[np.bool_],
    senses: Senses,
    ratio: float,
) -> bool:
    bound = ratio * senses.probability[names[spot]]
    i = begin
    while i < len(first) and first[i] <= last[spot]:
        if i != spot and usable[i] and last[i] <= last[spot] and senses.probability[names[i]] >= bound:
            return True
        i += 1
    return False


@njit(cache=True)
def disambiguate(names: Int32s, around: Around, senses: Senses, rules: Rules, with_pages: bool) -> Choices:
    """Choose an entity for each of a text's spots, [m] in order.

    Args:
        around: the words around each spot. TAGME's own choice does not read them.
        with_pages: a page without an item may be chosen, too. Without them, such a page still lowers the
            commonness and the share of the entity that is chosen. TAGME's own choice takes them always.
    """
    m = len(names)
    starts, votes, memo = collect_votes(names, senses, rules)
    chosen, main = np.full(m, -1, np.int32), np.zeros(m, np.bool_)
    commonness, vote, share = np.zeros(m, np.float32), np.zeros(m, np.float32), np.zeros(m, np.float32)
    for i in range(m):
        n = starts[i + 1] - starts[i]
        first = senses.offsets[names[i]]
        context = max(1, min(i, rules.context_mentions) + min(m - 1 - i, rules.context_mentions))
        own = votes[starts[i] : starts[i + 1]] / np.float32(context)
        best = -1
        if n > 0 and rules.vote_weight > 0:
            shared = _shared(around, i, senses.entities[first : first + n], senses)
            scores = _scores(own, senses.commonness[first : first + n], shared, rules)
            for k in range(n):
                allowed = with_pages or not senses.pages[senses.entities[first + k]]
                if allowed and (best < 0 or scores[k] > scores[best]):
                    best = k
            if best >= 0:
                share[i] = 1 / np.exp(scores - scores[best]).sum()
        elif n > 0:
            best = _commonest_of_best(own, rules.epsilon)
        if best >= 0:
            at = first + best
            chosen[i], commonness[i], main[i] = senses.entities[at], senses.commonness[at], senses.main[at]
            vote[i] = own[best]
    coherence = _coherence(names, chosen, senses, rules, memo)
    rho = np.empty(m, np.float32)
    for i in range(m):
        rho[i] = (senses.probability[names[i]] + coherence[i]) / 2
    return Choices(chosen, commonness, vote, share, main, coherence, rho)


@njit(cache=True)
def _commonest_of_best(votes: Float32s, epsilon: float) -> int:
    """TAGME's choice; the commonest candidate is the first."""
    bound = (1 - epsilon) * votes.max()
    for k in range(len(votes)):
        if votes[k] >= bound:
            break
    return k


@njit(cache=True)
def _scores(votes: Float32s, commonness: Float32s, words: Float32s, rules: Rules) -> NDArray[np.float64]:
    """[n] log commonness + weight * log(mean vote + floor) + weight * rarity of the candidates' words.

    The highest is chosen.
    """
    return (
        np.log(commonness) + rules.vote_weight * np.log(votes + rules.vote_floor) + rules.word_weight * words
    )


@njit(cache=True)
def _shared(around: Around, spot: int, entities: Int32s, senses: Senses) -> Float32s:
    """[n] the rarity of the words around a spot that describe each of n entities."""
    near = around.words[around.offsets[spot] : around.offsets[spot + 1]]
    found = np.zeros(len(entities), np.float32)
    for k in range(len(entities)):
        found[k] = shared_rarity(entities[k], near, senses.words, senses.rarity)
    return found


@njit(cache=True)
def collect_votes(names: Int32s, senses: Senses, rules: Rules) -> tuple[Int64s, Float32s, Memo]:
    """[m + 1] each spot's first candidate (those of commonness tau and more), and the candidates' votes."""
    m = len(names)
    starts = np.zeros(m + 1, np.int64)
    for i in range(m):
        starts[i + 1] = starts[i] + _senses_above(names[i], senses, rules.tau)
    votes = np.zeros(starts[m], np.float32)
    memo = empty_memo(min(1 << 18, 16 * starts[m]))
    for i in range(m):
        for j in range(i + 1, min(m, i + rules.context_mentions + 1)):
            if names[i] != names[j]:
                _vote(i, j, names, starts, votes, senses, rules.graph_weight, memo)
    return starts, votes, memo


@njit(cache=True)
def _senses_above(name: int, senses: Senses, tau: float) -> int:
    start = senses.offsets[name]
    end = start
    while end < senses.offsets[name + 1] and senses.commonness[end] >= np.float32(tau):
        end += 1
    return end - start


@njit(cache=True)
def _vote(
    i: int,
    j: int,
    names: Int32s,
    starts: Int64s,
    votes: Float32s,
    senses: Senses,
    graph_weight: float,
    memo: Memo,
) -> None:
    """Each of the two spots for the other's candidates."""
    of_i, of_j = senses.offsets[names[i]], senses.offsets[names[j]]
    n_i, n_j = starts[i + 1] - starts[i], starts[j + 1] - starts[j]
    for a in range(n_i):
        for b in range(n_j):
            related = relatedness(
                senses.entities[of_i + a],
                senses.entities[of_j + b],
                senses.links,
                senses.graph,
                graph_weight,
                memo,
            )
            if related > 0:
                votes[starts[i] + a] += related * senses.commonness[of_j + b] / n_j
                votes[starts[j] + b] += related * senses.commonness[of_i + a] / n_i


@njit(cache=True)
def _coherence(names: Int32s, chosen: Int32s, senses: Senses, rules: Rules, memo: Memo) -> Float32s:
    """The mean relatedness to the other winners around."""
    m = len(names)
    sums, counts = np.zeros(m, np.float32), np.zeros(m, np.int64)
    for i in range(m):
        for j in range(i + 1, min(m, i + rules.context_mentions + 1)):
            if names[i] != names[j] and chosen[i] >= 0 and chosen[j] >= 0:
                related = relatedness(
                    chosen[i], chosen[j], senses.links, senses.graph, rules.graph_weight, memo
                )
                sums[i] += related
                sums[j] += related
                counts[i] += 1
                counts[j] += 1
    for i in range(m):
        sums[i] /= max(counts[i], 1)
    return sums
