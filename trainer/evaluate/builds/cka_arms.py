"""The same questions with the asked fact injected, with nothing, and with another fact of the same entity."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kgcorpus.contracts.draws import Draw
from trainer.shards import MentionRecord
from trainer.trelm.examples import Example, Question
from trainer.trelm.targets import Fact, TargetChooser


@dataclass(frozen=True)
class Arms:
    """Passages, parallel in all arms; the last two hold the questions whose entity has several facts.

    Attributes:
        injected: with the fact that is asked for.
        not_injected: with none.
        another: with another fact of the entity, of another end.
        same: the questions of `another` with the fact that is asked for.
    """

    injected: list[Example]
    not_injected: list[Example]
    another: list[Example]
    same: list[Example]


def make_arms(
    examples: Sequence[Example], records: Sequence[MentionRecord], chooser: TargetChooser, *, seed: int
) -> Arms:
    """Change what is injected into the examples made of the records; `seed`: of the other facts."""
    arms = Arms(list(examples), [], [], [])
    for example, record in zip(examples, records, strict=True):
        others = [_another(question, record, chooser, seed) for question in example.questions]
        pairs = [(q, other) for q, other in zip(example.questions, others, strict=True) if other]
        arms.not_injected.append(replace(example, questions=[_inject(q, None) for q in example.questions]))
        arms.another.append(replace(example, questions=[_inject(q, other) for q, other in pairs]))
        arms.same.append(replace(example, questions=[q for q, _ in pairs]))
    return arms


def _another(question: Question, record: MentionRecord, chooser: TargetChooser, seed: int) -> Fact | None:
    target = question.target
    mention = next(m for m in record.mentions if (m["start"], m["end"]) == (target.start, target.end))
    others = [fact for fact in chooser.facts(record, mention) if fact["other"] != target.asked["other"]]
    return Draw(seed, "cka-another", record.id, target.start).choice(others) if others else None


def _inject(question: Question, fact: Fact | None) -> Question:
    return replace(question, target=replace(question.target, injected=fact))
