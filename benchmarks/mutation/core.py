"""The core, and for each of its files the quick tests that should see a change of it, beside its own doctests.

The derivations are not here: `python -m benchmarks.proofs` changes each of their formulas.
"""

from __future__ import annotations

MOMENTS = (
    "tests/moments/test_moments_laws.py",
    "tests/moments/test_moments_are_exact.py",
    "tests/moments/test_low_precision.py",
)
REPORT = ("tests/measuring/test_measure_files.py", "tests/measuring/test_stream.py")
PARTS = "tests/report/test_parts.py"
CEILINGS = "tests/measuring/test_ceilings.py"
PREFLIGHT = ("tests/measuring/test_preflight_rules.py", "tests/measuring/test_preflight.py")
FORWARD = ("tests/measuring/test_forward.py", "tests/measuring/test_objects.py")
SAELENS = ("tests/checkpoints/test_settings.py",)
NEW_LAYOUT = ("tests/checkpoints/test_writing.py", "tests/checkpoints/test_new_layout.py")

CORE: dict[str, tuple[str, ...]] = {
    "sandbox/moments/moments.py": MOMENTS,
    "sandbox/moments/totalling.py": (*MOMENTS, PARTS),
    "sandbox/moments/machine_code.py": MOMENTS[:1],
    "sandbox/moments/sums.py": MOMENTS[:1],
    "sandbox/moments/fused.py": ("tests/moments/test_fused_plan.py",),
    "sandbox/maths/measures.py": ("tests/maths/test_one_formula_one_place.py",),
    "sandbox/maths/compile.py": ("tests/maths/test_one_formula_one_place.py",),
    "sandbox/report/estimates.py": ("tests/report/test_estimates.py",),
    "sandbox/report/report.py": ("tests/report/test_report.py", PARTS),
    "sandbox/report/joint.py": ("tests/report/test_law.py", PARTS),
    "sandbox/report/parts.py": (PARTS,),
    "sandbox/report/jackknife.py": (
        "tests/report/test_jackknife.py",
        "tests/report/test_estimates.py",
        "tests/measuring/test_token_means.py",
    ),
    "sandbox/report/verdict.py": ("tests/report/test_verdicts.py", "tests/report/test_jackknife.py"),
    "sandbox/simulate/vectors.py": ("tests/simulate/test_vectors.py",),
    "sandbox/simulate/features.py": ("tests/simulate/test_features.py",),
    "sandbox/simulate/distributions.py": ("tests/simulate/test_features.py",),
    "sandbox/simulate/theory.py": ("tests/simulate/test_theory.py", "tests/simulate/test_closed_form.py"),
    "sandbox/checkpoints/activation_functions.py": ("tests/checkpoints/test_activation_functions.py",),
    "sandbox/checkpoints/autoencoder.py": ("tests/checkpoints/test_activation_functions.py",),
    "sandbox/checkpoints/normalisation.py": ("tests/checkpoints/test_activation_functions.py",),
    "sandbox/measuring/sparse.py": ("tests/measuring/test_sparse.py",),
    "sandbox/measuring/forward.py": FORWARD,
    "sandbox/measuring/reconstruct.py": FORWARD,
    "sandbox/measuring/latents.py": ("tests/measuring/test_latents.py",),
    "sandbox/measuring/token_means.py": ("tests/measuring/test_token_means.py", PARTS),
    "sandbox/measuring/published.py": ("tests/measuring/test_published.py",),
    "sandbox/measuring/totals.py": ("tests/report/test_report.py", "tests/measuring/test_stream.py"),
    "sandbox/measuring/summary.py": ("tests/report/test_report.py", PARTS),
    "sandbox/measuring/resume.py": ("tests/measuring/test_resume.py",),
    "sandbox/measuring/ranks.py": ("tests/measuring/test_ranks.py",),
    "sandbox/activations/split.py": ("tests/activations/test_split.py",),
    "sandbox/measuring/readings.py": ("tests/measuring/test_readings.py",),
    "sandbox/measuring/rescale.py": ("tests/measuring/test_rescale.py",),
    "sandbox/measuring/correction.py": ("tests/measuring/test_correction.py",),
    "sandbox/measuring/fits.py": ("tests/measuring/test_rescale.py", CEILINGS),
    "sandbox/measuring/ceilings.py": (CEILINGS,),
    "sandbox/measuring/normal_equations.py": (CEILINGS,),
    "sandbox/measuring/least_squares.py": (CEILINGS,),
    "sandbox/measuring/preflight/check.py": PREFLIGHT,
    "sandbox/measuring/preflight/biases.py": PREFLIGHT[:1],
    "sandbox/measuring/preflight/fit.py": PREFLIGHT[:1],
    "sandbox/measuring/preflight/sample.py": PREFLIGHT[:1],
    "sandbox/measuring/preflight/input_spaces.py": PREFLIGHT,
    "sandbox/checkpoints/layout.py": (*SAELENS, *NEW_LAYOUT),
    "sandbox/checkpoints/reading.py": (*SAELENS, *NEW_LAYOUT),
    "sandbox/checkpoints/saelens_settings.py": SAELENS,
}

SKIPPED: dict[str, frozenset[str]] = {
    "sandbox/moments/fused.py": frozenset({"_add_rows", "_add_tiles", "_kernels", "_works_on"}),
}
"""Functions that are left alone: kernels and what starts them, which only a GPU runs as they are."""

SLOW = (
    "tests/simulate/test_closed_form.py::test_the_table_of_other_strengths_has_no_column_of_theory",
    "tests/simulate/test_closed_form.py::test_the_command_line_says_where_there_is_no_theory",
    # torchrun once with two processes, and once with GPUs that are pretended, has to do
    "tests/measuring/test_ranks.py::test_the_report_is_that_of_one_process[3]",
    "tests/measuring/test_ranks.py::test_a_rank_without_data_adds_nothing",
    "tests/measuring/test_ranks.py::test_each_may_have_a_file_of_its_own",
    "tests/measuring/test_ranks.py::test_a_rank_that_fails_ends_the_run_with_its_error",
)
"""Tests that are left out, by the beginning of their names."""
