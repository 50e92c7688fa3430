"""Semantic importance as a number (TRELM, arXiv 2403.11203, eq. 1). Imports nothing."""

COSINE_FLOOR = 1e-6


def semantic_importance(cos: float) -> float:
    """SI = |h_o||h_rep| / (h_o . h_rep) = 1 / cos: high = replacing the mention changes the sentence most.

    Args:
        cos: cosine of the sentence's state with and without the mention; below 1e-6 it counts as 1e-6,
            so that an orthogonal or opposite state gives the cap of 1e6 and not an infinity.
    """
    return 1.0 / max(cos, COSINE_FLOOR)
