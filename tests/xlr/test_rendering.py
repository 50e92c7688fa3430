"""A question in each language that names all of it and tells its entities apart."""

from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.readers import TripleRow

from .knowledge import Knowledge, label_index, named, random_knowledge, star


def test_entities_of_one_name_are_not_asked_about():
    triples, ids, _, languages = star(12)
    relations = label_index("pid", named({r for _, r, _ in triples}, languages))
    every = {"train": 500, "validation": 500, "test": 500}
    alone = {i: {"en": [f"{i} en"], "fr": [f"{i} fr"]} for i in ids}
    names = {**alone, **{i: {"en": ["Georgia"], "fr": [f"{i} fr"]} for i in ("Q3", "Q7")}}
    knowledge = Knowledge(triples, label_index("qid", names), relations, languages=languages)
    asked = {}
    for question in knowledge.choose(every):
        entities = {end for h, _, t in [question.left_out, *question.context] for end in (h, t)}
        asked.setdefault({"Q3", "Q7"} <= entities, set()).add(question.languages)
    # In English a reader takes the two for one.
    assert asked == {True: {("fr",)}, False: {("en", "fr")}}
    tally = Tally()
    names |= {i: {"en": ["Georgia"]} for i in ("Q3", "Q7")}
    knowledge = Knowledge(triples, label_index("qid", names), relations, languages=languages)
    assert not any({"Q3", "Q7"} == {q.left_out.h, q.left_out.t} for q in knowledge.choose(every, tally=tally))
    assert tally.drops["same_names"] > 0
    assert tally.drops["several_relations_by_name"] > 0


def test_a_row_in_each_language_that_names_all():
    knowledge = random_knowledge(1)
    for question in knowledge.choose():
        rows = {lang: knowledge.render(question, lang) for lang in knowledge.languages}
        assert tuple(lang for lang, row in rows.items() if row) == question.languages
        for lang, row in rows.items():
            if row is None:
                everything = {question.left_out, *question.context}
                assert not all(
                    knowledge.relations.label(triple.r, lang)
                    and knowledge.names.label(triple.h, lang)
                    and knowledge.names.label(triple.t, lang)
                    for triple in everything
                )
                continue
            *context, left_out = (TripleRow(**triple) for triple in row["triples"])
            label, name = knowledge.relations.label, knowledge.names.label
            assert row["context"] == " ".join(
                f"{name(h, lang)} [mask] {label(r, lang)} [mask] {name(t, lang)}." for h, r, t in context
            )
            assert row["question"] == {
                "h": left_out.h,
                "t": left_out.t,
                "h_label": name(left_out.h, lang),
                "t_label": name(left_out.t, lang),
            }
            assert row["choices"][row["answer"]] == {"pid": left_out.r, "label": label(left_out.r, lang)}
            assert row["lang"] == lang
            assert row["split"] == question.split
        assert len({row["id"] for row in rows.values() if row}) == len(question.languages)
