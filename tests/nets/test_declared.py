"""Networks that are built for their shapes alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from likeness.nets.declared import shapes_only
from likeness.networks import NETWORKS

PROGRAM = """
import sys
from likeness.nets.declared import shapes_only
from likeness.networks import NETWORKS
for name in sys.argv[1:]:
    network, config = NETWORKS[name]
    with shapes_only():
        network(config()).state_dict()
    assert "torch._dynamo" not in sys.modules, name
"""


def test_shapes_are_those_of_the_network_itself() -> None:
    network, config = NETWORKS["portrait"]
    with shapes_only():
        declared = network(config()).state_dict()
    real = network(config()).state_dict()
    assert {name: x.shape for name, x in declared.items()} == {n: x.shape for n, x in real.items()}
    assert all(x.is_meta for x in declared.values())
    # What is built afterward has memory and first weights again.
    assert float(torch.nn.Conv2d(3, 3, 3).weight.detach().abs().sum()) > 0


@pytest.mark.parametrize("names", [("portrait", "compact", "autoencoder", "identity_dlib")])
def test_shapes_cost_no_compiler(names: tuple[str, ...]) -> None:
    """Two seconds of each command went into importing it, for first weights that nobody uses."""
    done = subprocess.run(  # a process of its own, which has imported nothing
        [sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
