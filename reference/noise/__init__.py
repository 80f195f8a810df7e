"""The expected rounding error of a case: the unchanged reference over numbers that err as an arithmetic errs.

Every operation on a :class:`Noisy` array returns its result with a random error of the size that rounding makes in a
given :class:`Arithmetic`. Several replicas, stacked along the batch, run side by side, and the root mean square of what
they are off by is ``sigma``: the error of an honest implementation in that arithmetic, element by element, *in this
case*. Conditioning, length and depth need no formula; they come in by themselves.

Sources: D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997; J. Vignes, "A stochastic arithmetic for reliable
scientific computation" (CESTAC), Math. Comput. Simul. 35, 1993; for the growth of errors in sums N. J. Higham and
T. Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5), 2019.
"""

from reference.noise.arithmetics import ARITHMETICS, FUNCTION, ROUNDING, UFUNC_NOISE, Arithmetic
from reference.noise.noisy import Noisy
from reference.noise.replicas import replicas_for, sigma
from reference.noise.source import NoiseSource

__all__ = [
    "ARITHMETICS",
    "FUNCTION",
    "ROUNDING",
    "UFUNC_NOISE",
    "Arithmetic",
    "NoiseSource",
    "Noisy",
    "replicas_for",
    "sigma",
]
