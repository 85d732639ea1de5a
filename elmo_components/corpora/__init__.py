"""Corpora: many files of sentences in, a folder with one Parquet file for each partition out."""
