"""Questions that a finished build holds out."""
