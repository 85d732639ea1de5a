"""AllenNLP's own names for ELMo, served by this package."""
