"""A plain PyTorch loop over the layers of the 768-feature network, to compare speeds with.

    peers/bin/python -m tools.peer_features --dtype=float32

torchvision's Inception v3 up to `Mixed_6e`, with random weights: the convolutions that end in the
768 features of FID's network, at the same sizes. Prints images_per_second=... of the extraction
from 32-pixel images, as tools.benchmark --workload=features does; the environment is that of
tools/compare_scores.py.
"""

import argparse
import statistics
import time

import torch
import torchvision

SIDE = 299
LAST = "Mixed_6e"


def network() -> torch.nn.Module:
    """Images [N, 3, 32, 32] -> features [N, 768]."""
    whole = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    layers = []
    for name, layer in whole.named_children():
        if name != "AuxLogits":
            layers.append(layer)
        if name == LAST:
            break
    resize = torch.nn.Upsample(size=(SIDE, SIDE), mode="bilinear")
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(resize, *layers, pool, torch.nn.Flatten()).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    model = network().to(memory_format=torch.channels_last)
    images = torch.rand(args.batch, 3, 32, 32).to(memory_format=torch.channels_last) * 2 - 1
    half = torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bfloat16")
    seconds = []
    with torch.inference_mode(), half:
        for _ in range(2 + args.steps):
            start = time.perf_counter()
            features = model(images)
            seconds.append(time.perf_counter() - start)
    assert features.shape == (args.batch, 768)
    median = statistics.median(seconds[2:])
    print(f"dtype={args.dtype} batch={args.batch} images_per_second={args.batch / median:.2f}")


if __name__ == "__main__":
    main()
