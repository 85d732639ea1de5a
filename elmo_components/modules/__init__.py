"""The modules of ELMo, from character ids to mixed layers."""
