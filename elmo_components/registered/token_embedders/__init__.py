"""`TokenEmbedder`s."""
