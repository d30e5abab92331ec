"""Trains the demo network on the digits of scikit-learn and writes it as float ONNX.

python examples/train_digits_cnn.py [OUT.onnx]     (under a minute on two cores)
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import onnx_ir as ir
import torch
from torch import nn

from fbcompile.data.digits import load

EPOCHS = 30
BATCH = 64
SEED = 0
OPSET = 20


def convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class DigitsCnn(nn.Module):
    """Every layer kind of small convolutional networks once: stride, depthwise and pointwise, residual add,
    pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(1, 32), nn.ReLU())
        self.reduce = nn.Sequential(*convolution(32, 64, stride=2), nn.ReLU())
        self.depthwise = nn.Sequential(*convolution(64, 64, groups=64), nn.ReLU())
        self.pointwise = nn.Sequential(*convolution(64, 64, kernel=1), nn.ReLU())
        self.residual_a = nn.Sequential(*convolution(64, 64), nn.ReLU())
        self.residual_b = nn.Sequential(*convolution(64, 64))
        self.head = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.pointwise(self.depthwise(self.reduce(self.stem(images))))
        x = torch.relu(x + self.residual_b(self.residual_a(x)))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Moves the whole batch by up to one pixel: the only augmentation."""
    down, right = (int(torch.randint(0, 3, (), generator=generator)) for _ in range(2))
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[:, :, down : down + images.shape[2], right : right + images.shape[3]]


def train(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(SEED)
    steps = EPOCHS * -(-len(x) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    network.train()
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(
                network(shifted(x[chosen], generator)), y[chosen], label_smoothing=0.05
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()


def export(network: nn.Module, path: Path) -> None:
    """Writes ONNX without the exporter's metadata, which holds paths and stack traces of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.onnx"
        batch = torch.export.Dim("N")
        torch.onnx.export(
            network,
            (torch.zeros(2, 1, 8, 8),),
            raw,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = ir.load(raw)
        ir.passes.common.ClearMetadataAndDocStringPass()(model)
        model.metadata_props.clear()
        model.graph.name = "digits_cnn"
        model.doc_string = None
        path.parent.mkdir(parents=True, exist_ok=True)
        ir.save(model, path)


def main(path: Path) -> None:
    start = time.perf_counter()
    torch.set_num_threads(1)  # sums depend on the number of threads, and the file should not
    torch.manual_seed(SEED)
    data = load()
    network = DigitsCnn()
    train(network, torch.from_numpy(data.x_train), torch.from_numpy(data.y_train))
    with torch.no_grad():
        right = network(torch.from_numpy(data.x_val)).argmax(1) == torch.from_numpy(data.y_val)
    export(network, path)
    percent, seconds = 100 * right.float().mean(), time.perf_counter() - start
    print(f"validation accuracy {percent:.2f} % of {len(right)} images, {seconds:.0f} s, {path}")


if __name__ == "__main__":
    main(
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else Path(__file__).parents[1] / "fbcompile/demo/digits_cnn.onnx"
    )
