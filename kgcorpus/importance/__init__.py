"""The semantic importance (SI) of a mention (TRELM, eq. 1). torch and transformers load on first use only."""
