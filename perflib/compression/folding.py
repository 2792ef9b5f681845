"""
Batch normalisation folded into the convolution before it: the same answers from one layer less.

In evaluation a batch normalisation only scales and shifts each channel, and a convolution can do that itself.
It has to happen before int8 is simulated: otherwise the weights that are trained to fit 255 levels are not those that
run in the end.
"""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(module: nn.Module) -> int:
    """
    Fold every batch normalisation that directly follows a convolution in a ``Sequential``, in place.

    The normalisation leaves an ``Identity`` behind, so that the names of the other layers stay as they were.

    Args:
        module: In evaluation mode; folding running statistics would change what training does.

    Returns:
        The number of pairs folded.
    """
    folded_count = 0
    for parent in [part for part in module.modules() if isinstance(part, nn.Sequential)]:
        for place in range(len(parent) - 1):
            one, other = parent[place], parent[place + 1]
            # A normalisation without running statistics uses those of the batch, which no weight can hold.
            if isinstance(one, _CONVOLUTIONS) and isinstance(other, _NORMS) and other.running_mean is not None:
                parent[place], parent[place + 1] = fuse_conv_bn_eval(one, other), nn.Identity()
                folded_count += 1
    return folded_count
