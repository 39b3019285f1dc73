from __future__ import annotations

import numpy as np

from likeness.fit.deformation import DeformationTransfer
from likeness.store import load_face_model


def test_equal_faces_keep_their_expressions() -> None:
    model = load_face_model()
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 1, len(model.identity)).astype(np.float32)
    expression = rng.uniform(0, 0.6, (3, len(model.expression))).astype(np.float32)
    transferred = DeformationTransfer.of(model)(expression, shape, shape)
    np.testing.assert_allclose(transferred, expression, atol=1e-4)


def test_rest_stays_rest() -> None:
    model = load_face_model()
    rng = np.random.default_rng(2)
    driver, target = rng.normal(0, 1.5, (2, len(model.identity))).astype(np.float32)
    rest = np.zeros((2, len(model.expression)), np.float32)
    np.testing.assert_allclose(DeformationTransfer.of(model)(rest, driver, target), 0, atol=1e-4)


def test_another_face_makes_the_same_expression_with_its_own_proportions() -> None:
    model = load_face_model()
    rng = np.random.default_rng(1)
    driver, target = rng.normal(0, 1.5, (2, len(model.identity))).astype(np.float32)
    expression = np.zeros((1, len(model.expression)), np.float32)
    expression[0, model.expression_names.index("jawOpen")] = 0.8
    solve = DeformationTransfer.of(model)
    transferred = solve(expression, driver, target)

    def stretched(shape: np.ndarray, weights: np.ndarray) -> float:
        """How much longer the lower face gets, relative to its own height."""
        rest, moved = model.neutral(shape), model.vertices(shape, weights)[0]
        chin, nose = 152, 2
        return float((moved[chin] - rest[chin])[1] / (rest[chin] - rest[nose])[1])

    wanted = stretched(driver, expression)
    assert (
        abs(stretched(target, transferred) - wanted)
        < abs(stretched(target, expression) - wanted) + 0.01
    )
    assert transferred[0].max() > 0.5
