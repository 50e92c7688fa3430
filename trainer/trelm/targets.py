"""Selection of the mentions that carry knowledge, and of the fact that each carries (eq. 1 and 2)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.rows import Fact
from trainer.shards import MentionRecord
from trainer.trelm.config import Inject, InjectedFact, MentionChoice


@dataclass(frozen=True)
class Target:
    """A mention that the objective asks about.

    Attributes:
        start, end: its span in tokens.
        qid: its entity.
        asked: the fact whose other end is asked for.
        injected: the fact whose embedding takes the place of the mention's words, or None.
    """

    start: int
    end: int
    qid: str
    asked: Fact
    injected: Fact | None


@dataclass(frozen=True)
class Chosen:
    """The targets of a passage, and what there was to choose from.

    Attributes:
        counts: `mentions`, `without_importance` (cut by the encoder's truncation: never chosen), `selected`
            (important enough) and `without_fact` (of the right class, but with no fact to ask for).
    """

    targets: list[Target]
    counts: dict[str, int]


def important(mentions: Sequence[Mapping[str, Any]], *, min_si: float) -> list[int]:
    """The upper half of the mentions by semantic importance (eq. 1), at least one; of equals the first.

    Args:
        mentions: a passage's, with `si`; null is never chosen.
        min_si: a mention below it is never chosen.
    """
    ranked = sorted(
        (i for i, mention in enumerate(mentions) if mention["si"] is not None),
        key=lambda i: (-mentions[i]["si"], i),
    )
    upper = ranked[: _half(ranked)]
    return sorted(i for i in upper if mentions[i]["si"] >= min_si)


def _half(mentions: Sequence[int]) -> int:
    return max(1, len(mentions) // 2)


class TargetChooser:
    """Chooses the targets and one fact for each, again in every epoch.

    Args:
        inject: the class of the targets, `longtail`, `frequent` or `both`; with `none` they are the
            long-tail ones and nothing is injected.
        min_si: see `important`.
        mentions: of which mentions: the `important` ones, as many drawn by `random`, or `all`.
        known: whether a fact's relation and other end have a vector or a label.
        seed: of the draws.
        in_text: ask only for entities that the passage mentions too.
        plain_share: share of the passages without injection, chosen again in every epoch.
        injected_fact: inject the fact that is asked about, or another one whose other end is not in the
            passage.
    """

    def __init__(
        self,
        *,
        inject: Inject,
        min_si: float,
        known: Callable[[Fact], bool],
        seed: int,
        in_text: bool = False,
        mentions: MentionChoice = "important",
        plain_share: float = 0.0,
        injected_fact: InjectedFact = "asked",
    ) -> None:
        self._inject, self._min_si, self._seed, self._in_text = inject, min_si, seed, in_text
        self._known, self._mentions = known, mentions
        self._plain_share, self._injected_fact = plain_share, injected_fact

    def choose(self, record: MentionRecord) -> Chosen:
        """The targets of a passage in this epoch."""
        selected = self._selected(record)
        right = [i for i in selected if is_of_class(record.mentions[i]["long_tail"], self._inject)]
        targets: list[Target] = []
        # A mention whose words are hidden as another's answer asks nothing itself, and vice versa.
        answers: set[str] = set()
        asking: set[str] = set()
        plain = self._inject == "none" or self._is_plain(record)
        for i in right:
            mention = record.mentions[i]
            facts = self.facts(record, mention, hidden=asking)
            if mention["qid"] in answers or not facts:
                continue
            fact = Draw(self._seed, "trelm-fact", record.epoch, record.id, i).choice(facts)
            if self._in_text:
                answers.add(fact["other"])
                asking.add(mention["qid"])
            injected = None if plain else self._injected(record, mention, fact, i)
            targets.append(Target(mention["start"], mention["end"], mention["qid"], fact, injected))
        counts = {
            "mentions": len(record.mentions),
            "without_importance": sum(mention["si"] is None for mention in record.mentions),
            "selected": len(selected),
            "without_fact": len(right) - len(targets),
        }
        return Chosen(targets, counts)

    def _is_plain(self, record: MentionRecord) -> bool:
        if not self._plain_share:
            return False
        return Draw(self._seed, "trelm-plain", record.epoch, record.id).uniform() < self._plain_share

    def _injected(
        self, record: MentionRecord, mention: Mapping[str, Any], asked: Fact, i: int
    ) -> Fact | None:
        """The fact injected into the mention with number `i`."""
        if self._injected_fact == "asked":
            return asked
        excluded = {other["qid"] for other in record.mentions} | {asked["other"]}
        others = [fact for fact in mention["triples"] if self._known(fact) and fact["other"] not in excluded]
        return (
            Draw(self._seed, "trelm-injected", record.epoch, record.id, i).choice(others) if others else None
        )

    def drawable(self, record: MentionRecord) -> list[tuple[str, Fact]]:
        """Every fact that an epoch may draw for a target of the passage, with the target's entity."""
        mentions = [record.mentions[i] for i in self._selected(record)]
        return [
            (mention["qid"], fact)
            for mention in mentions
            if is_of_class(mention["long_tail"], self._inject)
            for fact in self.facts(record, mention)
        ]

    def _selected(self, record: MentionRecord) -> list[int]:
        if self._mentions == "important":
            return important(record.mentions, min_si=self._min_si)
        known = [i for i, mention in enumerate(record.mentions) if mention["si"] is not None]
        if self._mentions == "all" or not known:
            return known
        order = list(known)
        Draw(self._seed, "trelm-mentions", record.id).shuffle(order)
        return sorted(order[: _half(order)])

    def facts(
        self, record: MentionRecord, mention: Mapping[str, Any], *, hidden: Collection[str] = ()
    ) -> list[Fact]:
        """The facts that may be drawn for a mention; `hidden`: other ends that may not."""
        mentioned = {m["qid"] for m in record.mentions}
        return [
            fact
            for fact in mention["triples"]
            if self._known(fact)
            and (not self._in_text or (fact["other"] in mentioned and fact["other"] not in hidden))
        ]


def is_of_class(long_tail: bool, inject: Inject) -> bool:
    """Whether an entity belongs to the class that `inject` names."""
    return inject == "both" or long_tail == (inject != "frequent")
