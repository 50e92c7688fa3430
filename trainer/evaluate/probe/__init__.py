"""Facts asked for by filling blanks."""
