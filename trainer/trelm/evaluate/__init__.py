"""TRELM's benchmark: its decoding task (CKA) on held-out passages."""
