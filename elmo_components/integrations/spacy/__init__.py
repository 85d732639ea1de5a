"""ELMo in spaCy: the pipes "elmo" and "elmo_tagger", and an architecture for spaCy's own models."""

from importlib.util import find_spec

# spaCy imports this folder itself, through the entry points in setup.cfg; other users may lack it
if find_spec("spacy") is None:
    raise ModuleNotFoundError(
        "This needs spaCy. Install it with: pip install 'elmo_components[spacy]'", name="spacy"
    )
