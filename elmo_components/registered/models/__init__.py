"""`Model`s: language model and Word in Context."""
