"""From text to entities: the page's own hyperlinks, and names that stand for one entity."""
