"""Caches of words' vectors and sentences' layers, and what tells that they are out of date."""
