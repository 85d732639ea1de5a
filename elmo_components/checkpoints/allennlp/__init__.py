"""AllenNLP archives and training folders: finding the ELMo in a model that others trained."""
