"""A driver's expression as the target's own mesh would make it: deformation transfer.

Sumner and Popovic (SIGGRAPH 2004) inside the space of expressions, as Face2Face does it (Thies et
al. 2016, section 6). Each triangle of the driver's deformed face is a linear map G_i of the
triangle at rest. The target's triangles should be mapped alike:

    min over d_T of sum_i | E_i(d_T) - G_i E_i(0) |^2 + ridge * |d_T - d_S|^2,

with E_i the 3x2 matrix of two edges of the target's triangle i. Edges are linear in d_T, so that
the left side is A d_T and A is the same for every face of the model: it is solved once. The ridge
pulls to the driver's weights d_S, which are the exact answer where both faces are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.face3d.model import FaceModel
from likeness.types import Floats

_CHUNK = 128


@dataclass(frozen=True, eq=False)
class DeformationTransfer:
    """The solved system of one face model."""

    model: FaceModel
    inverse: NDArray[np.float64]
    """(E,6F) (A'A + ridge)^-1 A'."""
    pull: NDArray[np.float64]
    """(E,E) (A'A + ridge)^-1 ridge."""

    @staticmethod
    def of(model: FaceModel, ridge: float = 0.1) -> DeformationTransfer:
        """Solve the system of a face model; its identity modes play no role in it.

        Args:
            model: the face model.
            ridge: relative to how strongly a mode moves the mesh. It keeps modes from trading
                weight that move the mesh nearly alike.
        """
        modes = len(model.expression)
        a = _edges(model.expression, model).reshape(modes, -1).T.astype(np.float64)
        normal = a.T @ a
        pull = ridge * float(np.trace(normal)) / modes * np.eye(modes)
        solved = np.linalg.inv(normal + pull)
        return DeformationTransfer(model, solved @ a.T, solved @ pull)

    def __call__(self, expression: Floats, driver: Floats, target: Floats) -> Floats:
        """Express the driver's expressions on the target.

        Args:
            expression: (N,E) weights of the driver.
            driver: (S,) the driver's identity.
            target: (S,) the target's identity.

        Returns:
            (N,E) weights: for equal identities the same ones.
        """
        model = self.model
        rest = model.neutral(driver)
        still = _edges(rest[None], model)[0].astype(np.float64)
        wanted = _edges(model.neutral(target)[None], model)[0].astype(np.float64)
        frame = np.linalg.inv(_framed(still))
        answers = []
        for begin in range(0, len(expression), _CHUNK):
            moved = model.vertices(driver, expression[begin : begin + _CHUNK])
            gradient = _framed(_edges(moved, model).astype(np.float64)) @ frame
            b = (gradient @ wanted - wanted).reshape(len(moved), -1)
            near = expression[begin : begin + _CHUNK] @ self.pull.T
            answers.append(b @ self.inverse.T + near)
        return np.asarray(np.concatenate(answers), np.float32)


def _edges(vertices: Floats, model: FaceModel) -> Floats:
    """(N,F,3,2) two edge vectors of every triangle as columns."""
    a, b, c = (vertices[:, model.triangles[:, k]] for k in range(3))
    return np.stack([b - a, c - a], -1)


def _framed(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add the third direction (Sumner and Popovic, equation 4): normal over root of its length."""
    normal = np.cross(edges[..., 0], edges[..., 1])
    length = np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    return np.concatenate([edges, (normal / np.sqrt(length))[..., None]], -1)
