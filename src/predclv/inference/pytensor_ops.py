"""Likelihoods on PyTensor: what the literal kernels take from it, and a compiled likelihood as one of its Ops.

Written for, and tested with, PyTensor 2.38. PyTensor 3 calls `L_op` `pullback`; with it all of this file is untested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.gradient import DisconnectedType, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.tensor.elemwise import Elemwise

from predclv.inference.log_density import GradientDensity

__all__ = ["PYTENSOR", "LogLikelihood"]

FloatArray = NDArray[np.float64]


class _Digamma(ps.math.Psi):  # type: ignore[misc]
    """PyTensor's digamma, always by SciPy (or JAX): its C code, AS 103, holds ten digits."""

    def c_code(self, *_: Any, **__: Any) -> str:
        raise NotImplementedError


class _LogGamma(ps.math.GammaLn):  # type: ignore[misc]
    """PyTensor's log gamma with all digits in its derivative."""

    def L_op(self, inputs: Sequence[Any], _: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        return [gradients[0] * _Digamma(ps.upgrade_to_float, name="psi")(inputs[0])]


def _logaddexp(one: Any, other: Any) -> Any:
    """Log of the sum of two exponentials; PyTensor's own overflows where no rewrite saves it."""
    return pt.switch(one > other, one + pt.softplus(other - one), other + pt.softplus(one - other))


#: What the literal kernels take from NumPy and SciPy, of PyTensor.
PYTENSOR = SimpleNamespace(
    log=pt.log,
    log1p=pt.log1p,
    exp=pt.exp,
    where=pt.switch,
    maximum=pt.maximum,
    logaddexp=_logaddexp,
    gammaln=Elemwise(_LogGamma(ps.upgrade_to_float, name="gammaln")),
)


class _OfParameters(Op):  # type: ignore[misc]
    """What the Ops below share: one vector of natural parameters in, and a likelihood that two equal Ops share.

    Parameters
    ----------
    likelihood : GradientDensity
    """

    def __init__(self, likelihood: GradientDensity) -> None:
        self.likelihood = likelihood

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.likelihood is getattr(other, "likelihood", None)

    def __hash__(self) -> int:
        return hash((type(self), id(self.likelihood)))

    def pullback(self, *arguments: Any) -> list[Any]:
        """PyTensor 3's name of `L_op`; untested."""
        pulled: list[Any] = self.L_op(*arguments)
        return pulled

    def infer_shape(self, _: Any, node: Apply, shapes: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Shapes of the outputs: each of their axes is as long as the input."""
        return [shapes[0] * output.type.ndim for output in node.outputs]


class LogLikelihood(_OfParameters):
    """Log-likelihood and its gradient at natural parameter values, by the compiled kernel; one call gives both.

    Outputs are the value, a scalar, and the gradient (n_parameters,). Where either is not finite they are -inf and 0,
    so that a sampler turns back.
    """

    def __init__(self, likelihood: GradientDensity) -> None:
        super().__init__(likelihood)
        self._evaluate: Callable[[FloatArray], tuple[float, FloatArray]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What is prepared for many calls may not be picklable, and is made anew where it is needed.
        return {**self.__dict__, "_evaluate": None}

    def make_node(self, values: Any) -> Apply:
        """See `pytensor.graph.op.Op`."""
        values = pt.as_tensor_variable(values, dtype="float64")
        return Apply(self, [values], [pt.dscalar(), values.type()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        """Evaluate the kernel."""
        if self._evaluate is None:
            self._evaluate = self.likelihood.make_gradient()
        value, gradient = self._evaluate(np.array(inputs[0]))
        finite = math.isfinite(value) and bool(np.isfinite(gradient).all())
        output_storage[0][0] = np.asarray(value if finite else -np.inf)
        output_storage[1][0] = np.array(gradient) if finite else np.zeros(len(inputs[0]))

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """Pull back through the value by the gradient output, and through the gradient by the Hessian."""
        terms = []
        if not isinstance(gradients[0].type, DisconnectedType):
            terms.append(gradients[0] * outputs[1])
        if not isinstance(gradients[1].type, DisconnectedType):
            # A sum of products, for which PyTensor looks for no BLAS.
            terms.append(pt.sum(_Hessian(self.likelihood)(inputs[0]) * gradients[1], axis=1))
        return [sum(terms[1:], terms[0])]


class _Hessian(_OfParameters):
    """Hessian of a log-likelihood by natural parameters, (n_parameters, n_parameters); 0 where it is not finite."""

    def make_node(self, values: Any) -> Apply:
        values = pt.as_tensor_variable(values, dtype="float64")
        return Apply(self, [values], [pt.dmatrix()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        derivatives = self.likelihood.derivatives(np.array(inputs[0]))
        finite = derivatives.is_finite
        output_storage[0][0] = np.array(derivatives.hessian) if finite else np.zeros(2 * inputs[0].shape)

    def L_op(self, inputs: Sequence[Any], _: Sequence[Any], __: Sequence[Any]) -> list[Any]:
        return [grad_not_implemented(self, 0, inputs[0], "Third derivatives: take likelihood='literal'.")]
