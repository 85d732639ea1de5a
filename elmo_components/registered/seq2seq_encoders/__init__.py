"""`Seq2SeqEncoder`s."""
