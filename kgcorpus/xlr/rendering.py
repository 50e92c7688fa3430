"""Rendering of questions as rows of the table `xlr`."""

from typing import Any

from kgcorpus.kg.names import LabelIndex
from kgcorpus.records.kmlm import Item, render_sentences
from kgcorpus.xlr.questions import Question


def render_question(
    question: Question, *, names: LabelIndex, relations: LabelIndex, lang: str
) -> dict[str, Any] | None:
    """Render the question in one language; None if `lang` is not one of its `languages`.

    Returns:
        The columns of the table `xlr`, and `split`. The context has the form of the table `reasoning`.
        `triples` lists the context's triples in the order of the sentences, then the left-out triple. The
        order of the choices is the same in every language.
    """
    if lang not in question.languages:
        return None

    def entity(ident: str) -> Item:
        return Item(names.label(ident, lang) or "", ident, lang)

    def relation(ident: str) -> Item:
        return Item(relations.label(ident, lang) or "", ident, lang)

    context, _ = render_sentences((entity(h), relation(r), entity(t)) for h, r, t in question.context)
    head, tail = question.left_out.h, question.left_out.t
    return {
        "id": f"xlr:{lang}:{question.question_id}",
        "lang": lang,
        "context": context,
        "question": {
            "h": head,
            "t": tail,
            "h_label": entity(head).name,
            "t_label": entity(tail).name,
        },
        "choices": [{"pid": pid, "label": relation(pid).name} for pid in question.choices],
        "answer": question.answer,
        "triples": [triple._asdict() for triple in (*question.context, question.left_out)],
        "unseen_combination": question.unseen_combination,
        "held_out": [{"h": one, "t": other} for one, other in question.held_out],
        "split": question.split,
    }
