"""The six choices of a question: the answer, and five relations that do not hold for its pair."""

from collections.abc import Collection, Iterable, Sequence

from kgcorpus.contracts.draws import Draw
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.readers import TripleRow
from kgcorpus.xlr.relations import RelationFacts

CHOICES = 6


class WrongChoices:
    """Selects wrong choices: relations with other names that rarely co-occur with the answer in the graph."""

    def __init__(self, facts: RelationFacts, names: LabelIndex, languages: Sequence[str]) -> None:
        self._facts = facts
        self._labels = {
            pid: {lang: label.casefold() for lang in languages if (label := names.label(pid, lang))}
            for pid in facts.relations
        }
        self._names = {
            pid: {name.casefold() for lang in labels for name in names.aliases(pid, lang)}
            | {*labels.values()}
            for pid, labels in self._labels.items()
        }

    def choose(
        self, left_out: TripleRow, context: Iterable[TripleRow], *, languages: Collection[str], draw: Draw
    ) -> list[str] | None:
        """Return the answer and five wrong choices, shuffled; None if there are fewer than five.

        Wrong choices are taken first from the context's relations, then from the relations of the two
        entities, then from relations of similar range. Relations that co-occur with the answer or share a
        name with it are excluded, because they may hold for the pair.

        Args:
            left_out: the pair's only triple; its relation is the answer.
            languages: languages of the question. All choices have distinct labels in each of them.
        """
        chosen = [left_out.r]
        for tier in (
            (triple.r for triple in context),
            (*self._facts.of_entity(left_out.h), *self._facts.of_entity(left_out.t)),
            self._facts.of_like_range(left_out.r),
        ):
            pool = sorted(set(tier))
            draw.shuffle(pool)
            for pid in pool:
                if len(chosen) < CHOICES and self._fits(pid, chosen, languages):
                    chosen.append(pid)
        if len(chosen) < CHOICES:
            return None
        draw.shuffle(chosen)
        return chosen

    def _fits(self, pid: str, chosen: Sequence[str], languages: Collection[str]) -> bool:
        answer, labels = chosen[0], self._labels[pid]
        return (
            all(lang in labels for lang in languages)
            and not any(labels[lang] == self._labels[other][lang] for other in chosen for lang in languages)
            and not self._facts.go_together(answer, pid)
            and self._names[answer].isdisjoint(self._names[pid])
        )
