"""The six choices of a question: its answer, and five relations that are not true of its pair."""

from collections.abc import Collection, Iterable, Sequence

from kgcorpus.contracts.draws import Draw
from kgcorpus.kg.names import Names
from kgcorpus.kg.readers import TripleRow
from kgcorpus.xlr.relations import RelationFacts

CHOICES = 6


class WrongChoices:
    """Relations told apart by their names, and by what the graph says of them."""

    def __init__(self, facts: RelationFacts, names: Names, languages: Sequence[str]) -> None:
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
        """The answer among five others, shuffled; None if there are fewer.

        First come the context's relations, then those of the two entities, then those of like range. None of
        them goes together with the answer or shares a name with it, for either might be true of the pair.

        Args:
            left_out: the only relation of its pair.
            languages: those the question is written in; all choices have labels there, no two the same.
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
