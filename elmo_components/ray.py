"""
ELMo on Ray Data: `pip install 'elmo_components[ray]'`.

This is a module and no package: AllenNLP's `--include-package` looks for packages by the last part
of their names alone, so it would import all of the library `ray` for a package of this name.
"""

from elmo_components.integrations.ray_data.batch_embedder import ElmoBatchEmbedder, SharedElmo

__all__ = ["ElmoBatchEmbedder", "SharedElmo"]
