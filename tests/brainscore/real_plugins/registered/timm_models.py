import json
from pathlib import Path

import timm

from registry import propose_identifier, register_model

MODELS = json.loads((Path(__file__).parent / "model_configs.json").read_text())
for name, model in MODELS.items():
    register_model(f"{propose_identifier(name)}_moved", **model["model_commitment"])(
        lambda timm_name=model["timm_model_name"]: timm.create_model(timm_name, pretrained=True)
    )
