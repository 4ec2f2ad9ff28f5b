"""Joint refinement: hand-eye, board, noise and the poses to leave out, until nothing changes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from calibration.hand_eye.arm import Arm
from calibration.hand_eye.linearised import Corners, Linearised, linearise
from calibration.hand_eye.noise import Noise, estimate_noise
from calibration.hand_eye.unknowns import Layout, Unknowns

type Array = NDArray[np.floating]
type Flags = NDArray[np.bool_]

_ROUNDS = 30
_DONE = 1e-3
"""Largest step, in standard deviations, at which nothing changes any more."""
_OUTLIER = 1e-4
"""How seldom a good pose may be left out."""
_MEDIAN = float(chi2.ppf(0.5, 6))


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known beforehand: the unknowns are normal around `mean`, with an inverse covariance.

    Attributes:
        mean: (P,) as steps from the unknowns that the refinement begins with.
        precision: (P, P); 0 where nothing is known.
    """

    mean: Array
    precision: Array


@dataclass(frozen=True, slots=True)
class Refined:
    """Where the refinement ended.

    Attributes:
        unknowns: The best guess.
        covariance: (P, P) of the unknowns, widened so that the
            chi-square region of 95 % holds the truth in 95 %.
        noise: Of corners and arm.
        active: (n,) poses that were not left out.
        surprise: (n,) squared Mahalanobis distance of every pose from what the others say.
        left_out: (n, 6) slip that remains if a pose is left out of the fit.
        at: The pictures around the best guess.
        converged: Whether nothing changed any more.
    """

    unknowns: Unknowns
    covariance: Array
    noise: Noise
    active: Flags
    surprise: Array
    left_out: Array
    at: Linearised
    converged: bool


def refine(
    corners: Corners,
    arm: Arm,
    start: Unknowns,
    layout: Layout,
    *,
    active: Flags,
    noise: Noise,
    prior: Prior | None = None,
    drop: bool = True,
) -> Refined:
    """Gauss-Newton over all unknowns; noise and outliers are judged anew at every round.

    Args:
        corners: What was seen.
        arm: What the arm says.
        start: First guess.
        layout: What is solved for.
        active: (n,) poses to begin with.
        noise: First guess of the noise.
        prior: What is known beforehand.
        drop: Whether poses may be left out and taken back.
    """
    guess, moved_by = start, np.zeros(layout.size)
    prior = prior or Prior(np.zeros(layout.size), np.zeros((layout.size, layout.size)))
    at = linearise(corners, arm, guess, layout, active=active)
    converged = False
    for count in range(_ROUNDS):
        known = (prior.precision, prior.precision @ (moved_by - prior.mean))
        noise = estimate_noise(at, noise, known, active=active)
        H, g, W = _normal_equations(at, noise, known, active)
        step = -_solve(H, g)
        guess = layout.moved(guess, step, _slips(at, noise, step, W))
        moved_by = moved_by + step
        at = linearise(corners, arm, guess, layout, active=active)
        new_active = active
        if drop:
            new_active = _inliers(at, noise, known, active, patient=count < 3)
        size = float(np.sqrt(max(step @ H @ step, 0.0)))
        converged = size < _DONE * np.sqrt(layout.size) and bool((new_active == active).all())
        if converged:
            break
        if (new_active != active).any():
            active = new_active
            at = linearise(corners, arm, guess, layout, active=active)
    known = (prior.precision, prior.precision @ (moved_by - prior.mean))
    return _finished(at, noise, known, active, guess, converged=converged)


def _normal_equations(
    at: Linearised, noise: Noise, known: tuple[Array, Array], active: Flags
) -> tuple[Array, Array, Array]:
    """H (P, P) and g (P,) of the active poses, and V^-1 (n, 6, 6) of all."""
    W = np.linalg.inv(noise.covariance(at.information))
    use = W * active[:, None, None]
    E = at.slip_by_step
    H = np.einsum("nji,njk,nkl->il", E, use, E, optimize=True)
    g = np.einsum("nji,njk,nk->i", E, use, at.slip, optimize=True)
    per_px = 1.0 / noise.corner_px**2
    return H + per_px * at.beyond_H + known[0], g + per_px * at.beyond_g + known[1], W


def _solve(H: Array, g: Array) -> Array:
    """Solves, scales of the unknowns taken out; what is not determined stays where it is."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(H), 1e-300))
    values, vectors = np.linalg.eigh(H * np.outer(scale, scale))
    usable = values > 1e-13 * values[-1]
    inverse = np.where(usable, 1.0 / np.where(usable, values, 1.0), 0.0)
    return scale * (vectors @ (inverse * (vectors.T @ (scale * g))))


def _covariance(H: Array) -> Array:
    """H^-1; a direction that is not determined gets a variance that nobody overlooks."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(H), 1e-300))
    values, vectors = np.linalg.eigh(H * np.outer(scale, scale))
    values = np.maximum(values, 1e-15 * values[-1])
    return np.outer(scale, scale) * ((vectors / values) @ vectors.T)


def _slips(at: Linearised, noise: Noise, step: Array, W: Array) -> Array:
    """The likeliest slips: between what the pictures ask for and none at all."""
    asked = at.slip + at.slip_by_step @ step
    S = np.diag([noise.arm_rad**2] * 3 + [noise.arm_m**2] * 3)
    return (S @ W @ asked[..., None])[..., 0]


def _left_out(
    at: Linearised, noise: Noise, known: tuple[Array, Array], active: Flags
) -> tuple[Array, Array]:
    """Slips (n, 6) that remain without each pose, and their squared Mahalanobis distances (n,)."""
    H, g, W = _normal_equations(at, noise, known, active)
    V = np.linalg.inv(W)
    slips, surprise = np.zeros_like(at.slip), np.zeros(len(at.slip))
    for i, E in enumerate(at.slip_by_step):
        own = E.T @ W[i] * float(active[i])
        H_others, g_others = H - own @ E, g - own @ at.slip[i]
        slips[i] = at.slip[i] - E @ _solve(H_others, g_others)
        spread = V[i] + E @ _covariance(H_others) @ E.T
        surprise[i] = slips[i] @ np.linalg.solve(spread, slips[i])
    return slips, surprise


def _inliers(
    at: Linearised, noise: Noise, known: tuple[Array, Array], active: Flags, *, patient: bool
) -> Flags:
    """Poses that do not surprise. In the first rounds half of the poses set the scale.

    More than half of the poses stay, whatever they say.
    """
    _, surprise = _left_out(at, noise, known, active)
    scale = max(1.0, float(np.median(surprise)) / _MEDIAN) if patient else 1.0
    freedom = max(6 * int(active.sum()) - len(at.beyond_g), 6)
    limit = 6.0 * float(f_distribution.ppf(1.0 - _OUTLIER, 6, freedom)) * scale
    keep = surprise <= limit
    fewest = len(surprise) // 2 + 1
    if keep.sum() < fewest:
        keep = surprise <= np.sort(surprise)[fewest - 1]
    return keep


def _finished(
    at: Linearised,
    noise: Noise,
    known: tuple[Array, Array],
    active: Flags,
    guess: Unknowns,
    *,
    converged: bool,
) -> Refined:
    H, _, _ = _normal_equations(at, noise, known, active)
    left_out, surprise = _left_out(at, noise, known, active)
    # The noise is itself estimated: widened so that the chi-square region keeps its promise.
    freedom = max(6 * int(active.sum()) - len(H), 2)
    wider = 6.0 * float(f_distribution.ppf(0.95, 6, freedom)) / float(chi2.ppf(0.95, 6))
    return Refined(guess, wider * _covariance(H), noise, active, surprise, left_out, at, converged)
