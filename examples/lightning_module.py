"""A Lightning module and its checkpoints: python examples/lightning_module.py trains it, and then

hessian-dendrogram analyse examples/lightning_module.py --checkpoints lightning_checkpoints --out runs/lightning
"""

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from hessian_dendrogram import Experiment

FOLDER = "lightning_checkpoints"


class Classifier(lightning.LightningModule):
    """Two classes of points in the plane."""

    def __init__(self, hidden=16):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 2))

    def forward(self, points):
        """Logits of the two classes."""
        return self.net(points)

    def training_step(self, batch, _):
        """The mean loss of a batch."""
        points, classes = batch
        return nn.functional.cross_entropy(self(points), classes)

    def configure_optimizers(self):
        """Stochastic gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def load(_):
    """Points, and the sign of x·y."""
    points = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    return (points, (points.prod(dim=1) > 0).long()), None


experiment = Experiment(name="lightning", model=Classifier, loss=nn.functional.cross_entropy, data=load)

if __name__ == "__main__":
    lightning.seed_everything(0)
    keep = ModelCheckpoint(dirpath=FOLDER, every_n_train_steps=40, save_top_k=-1, save_last=True)
    trainer = lightning.Trainer(max_epochs=20, accelerator="cpu", logger=False, callbacks=[keep])
    trainer.fit(Classifier(), DataLoader(TensorDataset(*load(None)[0]), batch_size=50, shuffle=True))
