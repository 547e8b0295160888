"""What the page "Your data" takes from Python, as an ES module: constants, formulas and words, so that none is typed
again in js/data/.

The page measures in the browser what `sandbox measure` measures; js/data/ follows `sandbox.moments`,
`sandbox.measuring`, `sandbox.report` and `sandbox.checkpoints`, and imports what this writes as generated.js.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isqrt
from typing import Any

from sandbox.activations.windows import astray
from sandbox.checkpoints import normalisation, penalty, saelens, saelens_settings
from sandbox.checkpoints.layout import INSTEAD
from sandbox.maths.compile import MOMENTS, to_javascript
from sandbox.maths.derivations.parts import V
from sandbox.maths.derived import derived
from sandbox.maths.measures import ANY, COSINES, NOT_NEGATIVE, NOT_RESOLVABLE, Range, t, v, without_ends
from sandbox.maths.symbols import penalty as P
from sandbox.measuring.measure import SAMPLE
from sandbox.measuring.preflight import OUTLIER
from sandbox.measuring.token_means import COLUMNS, MEANS, NO_LINE, NO_TOKEN_DEFINES
from sandbox.moments.clusters import BLOCK, GOLDEN
from sandbox.moments.moments import GONE, GROUPS, LEAST, MOST, OUT_OF_RANGE, STILL, STRETCH, STRETCHES
from sandbox.report import jackknife
from sandbox.report.estimates import NO_TOKENS, ORIGINS
from sandbox.report.law import NO_DIRECTION, ROWS
from sandbox.report.law import SAID as LAW_SAID
from sandbox.report.parts import NOTHING_LOST, PARTS, SHARE
from sandbox.report.verdict import SAID, WITHIN

SCALES: dict[str, Range] = {"any": ANY, "notNegative": NOT_NEGATIVE, "cosine": COSINES, "share": SHARE}
"""The ranges of estimates that are no measures, by their names in JavaScript."""


def generated() -> str:
    """The module."""
    data = {
        **_counting(),
        **_checkpoints(),
        "SAID": SAID,
        "ORIGINS": ORIGINS,
        "WITHIN": WITHIN,
        "PARTS": PARTS,
        "NOTHING_LOST": NOTHING_LOST,
        "LAW_ROWS": ROWS,
        "LAW_SAID": LAW_SAID,
        "NO_DIRECTION": NO_DIRECTION,
    }
    constants = "".join(
        f"export const {name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in data.items()
    )
    return constants + _functions()


def _counting() -> dict[str, object]:
    """What tokens are counted by, and what an estimate needs."""
    scales = {range: name for name, range in SCALES.items()}
    return {
        "BLOCK": BLOCK,
        "GROUPS": GROUPS,
        "SPREAD": str(GOLDEN),  # beyond the whole numbers of JavaScript
        "SAMPLE": SAMPLE,
        "ASTRAY": astray(isqrt(SAMPLE)),
        "OUTLIER": OUTLIER,
        "GONE": GONE,
        "STILL": STILL,
        "LEAST": LEAST,
        "MOST": MOST,
        "OUT_OF_RANGE": OUT_OF_RANGE,
        "STRETCH": STRETCH,
        "STRETCHES": STRETCHES,
        "COLUMNS": COLUMNS,
        "MEANS": {key: (above, below, scales[range]) for key, (above, below, range) in MEANS.items()},
        "NO_LINE": NO_LINE,
        "NO_TOKEN_DEFINES": NO_TOKEN_DEFINES,
        "NO_TOKENS": NO_TOKENS,
        "NOT_RESOLVABLE": NOT_RESOLVABLE,
        "LEVEL": jackknife.LEVEL,
        "TWO": jackknife.TWO,
        "ONE_CLUSTER": jackknife.ONE_CLUSTER,
        "TOO_UNEQUAL": jackknife.TOO_UNEQUAL,
        "UNDEFINED_WITHOUT": jackknife.UNDEFINED_WITHOUT,
    }


def _checkpoints() -> dict[str, object]:
    """SAELens' layout: its tensors and settings, and which are read."""
    return {
        "TENSORS": {
            architecture: {name: (weight.role, weight.axes) for name, weight in tensors.items()}
            for architecture, tensors in saelens.TENSORS.items()
        },
        "FINETUNED": saelens.FINETUNED,
        "OPTIONS": {name: asdict(option) for name, option in saelens_settings.OPTIONS.items()},
        "CHANGES": saelens_settings.OPTIONS["use_error_term"].reason,
        "READ": saelens_settings.READ,
        "TRANSCODERS": saelens_settings.TRANSCODERS,
        "TRAINED_BY_BATCH": saelens_settings.TRAINED_BY_BATCH,
        "REFUSED": saelens_settings.REFUSED,
        "WHITENED": saelens_settings.WHITENED,
        "UNFOLDED": saelens_settings.UNFOLDED,
        "NORMALISATIONS": {
            name: getattr(made(), "described", "") for name, made in saelens_settings.NORMALISATIONS.items()
        },
        "LAYER_NORM_EPS": normalisation.LayerNorm().eps,
        "INSTEAD": INSTEAD,
        "L1": penalty.L1,
        "NO_SLOPE": penalty.NO_SLOPE,
        "NESTED": penalty.NESTED,
        "STEPS": penalty.STEPS,
        "STATED_AS": penalty.STATED_AS,
    }


def _functions() -> str:
    """Formulas of the law (C19) and of the loss's parts (C23), and the scales without ends that intervals need."""
    parts_of = {key: to_javascript(derived("C23")[key], (*MOMENTS, V)) for key in ("tokens_loss", "factors_loss")}
    slope: Any = derived("C19")["tanh_slope"]
    formulas = ", ".join(f"{key}: {formula}" for key, formula in parts_of.items())
    scales = ", ".join(f"{name}: {_scale(range)}" for name, range in SCALES.items())
    return (
        f"export const lossParts = {{ {formulas} }};\n"
        f"export const impliedL1 = {to_javascript(derived('C19')['implied'], (*MOMENTS, P))};\n"
        f"export const tanhSlope = {to_javascript(slope, tuple(sorted(slope.free_symbols, key=str)))};\n"
        f"export const scales = {{ {scales} }};\n"
    )


def _scale(range: Range) -> str:
    unbounded, back = without_ends(range)
    ends = ", ".join(str(float(end)).replace("inf", "Infinity") for end in (range.inf, range.sup))
    return f"{{ range: [{ends}], unbounded: {to_javascript(unbounded, (v,))}, back: {to_javascript(back, (t,))} }}"
