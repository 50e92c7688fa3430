"""The formula of semantic importance (TRELM, arXiv 2403.11203, eq. 1), without dependencies."""

COSINE_FLOOR = 1e-6


def semantic_importance(cos: float) -> float:
    """SI = |h_o||h_rep| / (h_o . h_rep) = 1 / cos. A high value: replacing the mention changes the sentence.

    Args:
        cos: cosine between the sentence's states with and without the mention. Values below 1e-6 are raised
            to 1e-6, so SI is at most 1e6.
    """
    return 1.0 / max(cos, COSINE_FLOOR)
