"""Semantic importance (SI) of mentions (TRELM, eq. 1). Imports torch and transformers on first use only."""
