"""Which parameters weight decay should leave alone."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

_SPARED_LAYERS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, _BatchNorm, nn.Embedding)


def norms_biases_and_embeddings(module: nn.Module) -> frozenset[str]:
    """Names of all parameters except the weight matrices and kernels of layers.

    Decay pulls the weights of a layer towards a simpler map, but a norm's gain towards switching
    its channel off and an embedding towards being no different from the others. A parameter whose
    name does not end in ``weight`` (a bias, learned positions, a class token) is spared too.
    """
    spared: set[str] = set()
    for prefix, layer in module.named_modules():
        for name, parameter in layer.named_parameters(recurse=False):
            decayed = name.endswith("weight") and parameter.ndim >= 2
            if isinstance(layer, _SPARED_LAYERS) or not decayed:
                spared.add(f"{prefix}.{name}" if prefix else name)
    return frozenset(spared)
