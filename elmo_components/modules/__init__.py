"""The `nn.Module`s of ELMo, from character ids to mixed layers."""
