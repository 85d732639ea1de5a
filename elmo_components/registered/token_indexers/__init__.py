"""`TokenIndexer`s."""
