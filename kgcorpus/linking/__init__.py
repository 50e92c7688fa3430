"""Entity linking: mentions from a page's own hyperlinks, and from a dictionary of names."""
