"""Training records, one module for each method: KMLM, TRELM, JAKET."""
