"""How wrong corners and arm are, told from the data themselves.

The slip s that a pose's pictures ask for is a sample of N(0, V), with

    V = S + sigma_px^2 N^-1,    S = diag(sigma_rad^2 I, sigma_m^2 I),

N the information of the corners and S the arm's own error in the gripper frame. sigma_px is what
the corners scatter beyond any slip. The two of the arm maximise the restricted likelihood
(Patterson and Thompson 1971), which counts the unknowns that were fitted to the same poses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from calibration.hand_eye.linearised import Linearised

type Array = NDArray[np.floating]

_SMALLEST = (1e-6, 1e-6)
_LARGEST = (1.0, 0.5)
_MINIMUM_PX = 0.01


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations.

    Attributes:
        corner_px: Of a corner along each axis [px].
        arm_rad: Of the arm's orientation about each axis [rad].
        arm_m: Of the arm's position along each axis [m].
    """

    corner_px: float
    arm_rad: float
    arm_m: float

    def covariance(self, information: Array) -> Array:
        """V (n, 6, 6) of slips whose corners have this information (n, 6, 6)."""
        S = np.diag([self.arm_rad**2] * 3 + [self.arm_m**2] * 3)
        return S + max(self.corner_px, _MINIMUM_PX) ** 2 * np.linalg.inv(information)


def estimate_noise(
    at: Linearised, start: Noise, known: tuple[Array, Array], *, active: NDArray[np.bool_]
) -> Noise:
    """Estimates the noise from the active poses.

    Args:
        at: The pictures around a guess.
        start: Where to begin.
        known: What is known of the unknowns beforehand: normal matrix (P, P) and gradient (P,).
        active: (n,) poses to go by.
    """
    corner_px = max(at.sigma_px, _MINIMUM_PX)
    slip, by_step = at.slip[active], at.slip_by_step[active]
    spread = corner_px**2 * np.linalg.inv(at.information[active])
    beyond = at.beyond_H / corner_px**2 + known[0]
    beyond_g = at.beyond_g / corner_px**2 + known[1]

    def cost(logs: Array) -> float:
        arm_rad, arm_m = np.clip(np.exp(logs), _SMALLEST, _LARGEST)
        V = spread + np.diag([arm_rad**2] * 3 + [arm_m**2] * 3)
        W = np.linalg.inv(V)
        WE = W @ by_step
        H = beyond + np.einsum("nij,nik->jk", by_step, WE)
        g = beyond_g + np.einsum("nij,ni->j", WE, slip)
        # A tiny ridge: a direction that the poses do not determine must not decide.
        ridge = 1e-12 * np.diag(np.diag(H)) + 1e-12 * np.eye(len(H))
        explained = g @ np.linalg.solve(H + ridge, g)
        misfit = np.einsum("ni,nij,nj->", slip, W, slip) - explained
        sign_V, log_V = np.linalg.slogdet(V)
        del sign_V
        return float(log_V.sum() + np.linalg.slogdet(H + ridge)[1] + misfit)

    guess = np.log(np.clip([start.arm_rad, start.arm_m], _SMALLEST, _LARGEST))
    found = minimize(
        cost,
        guess,
        method="Nelder-Mead",
        options={
            "initial_simplex": guess + np.array([(0.0, 0.0), (0.7, 0.0), (0.0, 0.7)]),
            "xatol": 0.02,
            "fatol": 1e-3,
            "maxiter": 200,
        },
    )
    arm_rad, arm_m = np.clip(np.exp(found.x), _SMALLEST, _LARGEST)
    return Noise(corner_px, float(arm_rad), float(arm_m))
