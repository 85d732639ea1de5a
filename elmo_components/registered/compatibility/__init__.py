"""Patches that let AllenNLP 2.10.1 run on current torch, transformers and filelock."""
