"""What AllenNLP 2.10.1 needs to run on today's torch and transformers."""
