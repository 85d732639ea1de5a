"""AllenNLP archives and training folders: the biLM in a trained model, read without AllenNLP."""
