"""Names models, and finds them again.

The decorators register functions that return a model; the other functions list, build and describe what is
registered. ``registry.submission``, which is imported only when asked for, makes and checks the zip for Brain-Score.
"""

from .clash import AdaptersClashError, check_adapters_package

check_adapters_package()

from .brainscore import PluginError, connect_brainscore, disconnect_brainscore  # noqa: E402  our adapters must be found
from .commitment import commit  # noqa: E402  as above
from .decorators import (  # noqa: E402  as above
    ModelFunctionError,
    ModelOptions,
    register_brain_model,
    register_model,
)
from .downloading import DownloadError  # noqa: E402  as above
from .entry import ModelEntry, ModelOptionError  # noqa: E402  as above
from .identifiers import check_identifier, propose_identifier  # noqa: E402  as above
from .legacy import (  # noqa: E402  as above
    get_bibtex,
    get_entry,
    get_layers,
    get_model,
    get_model_list,
    list_models,
    models_module,
    unregister,
)
from .loading import ModelsFileError, load_models_file  # noqa: E402  as above
from .source import Source  # noqa: E402  as above
from .store import EntryTypeError, Registry, default_registry  # noqa: E402  as above
from .weights import Weights, WeightsError  # noqa: E402  as above

__all__ = [
    "AdaptersClashError",
    "DownloadError",
    "EntryTypeError",
    "ModelEntry",
    "ModelFunctionError",
    "ModelOptionError",
    "ModelOptions",
    "ModelsFileError",
    "PluginError",
    "Registry",
    "Source",
    "Weights",
    "WeightsError",
    "check_adapters_package",
    "check_identifier",
    "commit",
    "connect_brainscore",
    "default_registry",
    "disconnect_brainscore",
    "get_bibtex",
    "get_entry",
    "get_layers",
    "get_model",
    "get_model_list",
    "list_models",
    "load_models_file",
    "models_module",
    "propose_identifier",
    "register_brain_model",
    "register_model",
    "unregister",
]
