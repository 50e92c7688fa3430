"""XLR: multiple-choice questions about the relation left out of a cycle (KMLM, section 4.5).

The paper's test questions are annotated by hand; these are drawn from the graph and are silver. Their answers
are facts of the graph, and their wrong choices are facts that it lacks and does not suggest.
"""

from kgcorpus.xlr.questions import Question, held_out_pairs, is_held_out
from kgcorpus.xlr.rendering import render_question
from kgcorpus.xlr.selection import choose_questions

__all__ = ["Question", "choose_questions", "held_out_pairs", "is_held_out", "render_question"]
