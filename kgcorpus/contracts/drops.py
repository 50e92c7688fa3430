"""Why a build leaves items out: the reasons that manifests count as `drops`, and what each means.

A reason may end in a language code: `names_missing.en`.
"""

# Reason -> what was left out and why; where an input or a setting decides, which one.
DROPS = {
    # Inputs
    "bad_input": "malformed records that `on_bad_input: quarantine` set aside in OUT/quarantine",
    "blank_line": "lines without text",
    "duplicate": "repetitions of a triple",
    "name_without_text": "names of invisible characters only",
    "not_in_graph": "rows about an id that is in no triple of `graph.triples`",
    "other_language": "names in a language that is not in `languages`",
    "row_without_name": "rows with neither a label nor an alias",
    "link_to_no_article": "links to a title of another namespace or wiki",
    "no_text": "pages or documents without text",
    "not_sampled": "documents beyond the number that `text[].sentences` asks for",
    "not_wikitext": "pages in another format than wikitext",
    "other_namespace": "pages of other namespaces, such as categories and talk pages",
    "overlapping_link": "links of a document that overlap an earlier link",
    "title_not_in_text": "documents with `link_title` whose text does not contain their title",
    # Titles and links
    "disambiguation": "titles of disambiguation pages, which refer to no single entity",
    "redirect_without_item": "redirects to a page without an entity; set `wikipedia[].titles`",
    "title_of_no_article": "titles of another namespace or wiki",
    "link_outside_sentence": "links that are within no sentence, or cross the end of one",
    "link_overlap": "links that overlap an earlier mention",
    "link_without_item": "links to a title without an entity; set `wikipedia[].titles`",
    "link_outside_graph": "links to an entity that is in no triple of `graph.triples`",
    "sentence_without_letter": "sentences without a letter",
    # Passages and importance
    "few_entities": "passages with fewer mentions than `passages.min_entities`",
    "short_page": "pages with fewer characters than `passages.min_page_characters`",
    "mention_without_tokens": "mentions of which the encoder's tokenizer makes no token",
    "no_other_entity": "mentions for which no entity of the same class can be the replacement",
    "truncated_mention": "mentions beyond the encoder's maximum length",
    # The graph
    "dedup": "cycles that `cycles.dedup` counts as one with another cycle",
    "duplicate_triple": "repetitions of a triple in the graph from which cycles are mined",
    "low_support": "rules with fewer examples than `rules.min_support`",
    "pairs_per_edge": "cycles beyond the limit `cycles.pairs_per_edge`",
    "per_combination": "cycles beyond the limit `cycles.per_combination`",
    "per_pair": "cycles beyond the limit `cycles.per_pair`",
    "self_loop": "triples whose head is their tail",
    "triples_over_limit_of_a_pair": "triples of a pair of entities beyond the limit of a pair",
    "wings_per_edge": "triangles beyond the limit `cycles.wings_per_edge`",
    # Records
    "category_edge": "edges that would give away the category that JAKET predicts",
    "description_is_name": "descriptions that only repeat the entity's name",
    "fact_self_loop": "facts of a mention whose other end is the mention's own entity",
    "fact_without_label": "facts of a mention with a relation or other end without a label in that language",
    "few_neighbours_and_mentions": (
        "entities with fewer neighbours than `jaket.min_neighbours` and fewer mentions than "
        "`jaket.min_mentions`"
    ),
    "head_without_name": "triples whose head has no label in the base language; see `graph.labels`",
    "mention_outside_graph": "mentions of entities that are in no triple",
    "names_missing": "cycles or triples with an item that has no label in the language; see `graph.labels`",
    "not_described": (
        "entities without a description: name a file in `graph.descriptions`, or give documents a `title` "
        "and the `qid` that they are about"
    ),
    "nothing_named": "triples without an item that has a label in the language; see `graph.labels`",
    "relation_without_name": "triples with an unnamed relation in the base language; see `graph.relations`",
    "tail_without_name": "triples whose tail has no label in the base language; see `graph.labels`",
    # Questions of XLR
    "in_another_split": "pairs that another split already has, counted once for each split that lacks them",
    "same_names": "candidates whose entities cannot be told apart by name in any language",
    "several_relations": "triples of a pair with several relations, so a question has no single answer",
    "several_relations_by_name": "pairs whose names also belong to a pair with another relation",
    "too_few_choices": "candidates for which the graph has too few wrong relations to choose from",
}


def meaning_of(reason: str) -> str:
    """Return what a reason of a manifest means; empty for a reason of a stage outside kgcorpus."""
    return DROPS.get(reason, "") or DROPS.get(reason.partition(".")[0], "")
