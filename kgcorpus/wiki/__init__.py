"""Wikipedia dumps and plain text: pages, links, sentences, passages."""
