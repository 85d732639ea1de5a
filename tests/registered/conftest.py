"""Registers the components, so that each file of this folder can run on its own."""

import elmo_components.registered  # noqa: F401
