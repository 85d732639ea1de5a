"""Replacements of AllenNLP's ELMo under AllenNLP's names."""
