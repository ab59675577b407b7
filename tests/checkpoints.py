"""Random weights under the file name that torchvision looks for, so that its real loading code runs offline."""

from pathlib import Path

ALEXNET = "alexnet-owt-7be5be79.pth"


def write_alexnet(torch_home: Path) -> None:
    """Put a checkpoint of AlexNet where ``weights="DEFAULT"`` finds it when TORCH_HOME is ``torch_home``."""
    import torch
    import torchvision

    folder = torch_home / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(torchvision.models.alexnet(weights=None).state_dict(), folder / ALEXNET)
