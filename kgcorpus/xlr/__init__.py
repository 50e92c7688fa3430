"""XLR: multiple-choice questions about the relation left out of a cycle (KMLM, section 4.5).

The paper's test questions are annotated by hand. These are generated from the graph (silver): answers are
triples of the graph, and wrong choices are relations that the graph neither states nor suggests for the pair.
"""

from kgcorpus.xlr.questions import Question, held_out_pairs, is_held_out
from kgcorpus.xlr.rendering import render_question
from kgcorpus.xlr.selection import choose_questions

__all__ = ["Question", "choose_questions", "held_out_pairs", "is_held_out", "render_question"]
