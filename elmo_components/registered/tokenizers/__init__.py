"""`Tokenizer`s."""
