"""Describes checkpoints and their problems, compares a word's uses, and draws both."""
