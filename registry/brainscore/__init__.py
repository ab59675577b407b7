"""The bridge between the registry and Brain-Score's own: each finds the other's models."""

from .connecting import connect_brainscore, disconnect_brainscore
from .plugins import PluginError, find_plugins, list_plugins, load_plugin, plugin_bibtex, plugin_layers

__all__ = [
    "PluginError",
    "connect_brainscore",
    "disconnect_brainscore",
    "find_plugins",
    "list_plugins",
    "load_plugin",
    "plugin_bibtex",
    "plugin_layers",
]
