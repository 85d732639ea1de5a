"""Readers of files from anywhere: they execute nothing, and memory is bounded."""
