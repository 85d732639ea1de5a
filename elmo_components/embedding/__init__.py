"""Sentences to vectors: in batches, and from file to file as a job that can be resumed."""
