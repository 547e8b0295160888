"""The core, and for each of its files the quick tests that should see a change of it, beside its own doctests.

The derivations are not here: `python -m benchmarks.proofs` changes each of their formulas.
"""

from __future__ import annotations

MOMENTS = ("tests/test_moments_laws.py", "tests/test_moments_are_exact.py", "tests/test_low_precision.py")
REPORT = ("tests/test_measure_files.py", "tests/test_stream.py")
PREFLIGHT = ("tests/test_preflight_rules.py", "tests/test_preflight.py")
SAELENS = ("tests/checkpoints/test_settings.py",)

CORE: dict[str, tuple[str, ...]] = {
    "sandbox/moments.py": MOMENTS,
    "sandbox/sums.py": MOMENTS[:1],
    "sandbox/fused.py": ("tests/test_fused_plan.py",),
    "sandbox/measures.py": ("tests/test_one_formula_one_place.py",),
    "sandbox/compile.py": ("tests/test_one_formula_one_place.py",),
    "sandbox/report/estimates.py": ("tests/test_estimates.py",),
    "sandbox/report/report.py": ("tests/test_report.py",),
    "sandbox/report/jackknife.py": ("tests/test_jackknife.py", "tests/test_estimates.py", "tests/test_statistics.py"),
    "sandbox/report/verdict.py": ("tests/test_verdicts.py", "tests/test_jackknife.py"),
    "sandbox/simulate.py": ("tests/test_simulate.py",),
    "sandbox/features.py": ("tests/test_features.py",),
    "sandbox/strengths.py": ("tests/test_features.py",),
    "sandbox/theory.py": ("tests/test_theory.py", "tests/test_closed_form.py"),
    "sandbox/sae/activation_functions.py": ("tests/test_activation_functions.py",),
    "sandbox/sae/autoencoder.py": ("tests/test_activation_functions.py",),
    "sandbox/sae/normalisation.py": ("tests/test_activation_functions.py",),
    "sandbox/sae/sparse.py": ("tests/test_sparse.py",),
    "sandbox/sae/forward.py": ("tests/test_forward.py", "tests/test_objects.py"),
    "sandbox/sae/latents.py": ("tests/test_latents.py",),
    "sandbox/sae/statistics.py": ("tests/test_statistics.py",),
    "sandbox/sae/published.py": ("tests/test_published.py",),
    "sandbox/sae/tallies.py": ("tests/test_report.py", "tests/test_stream.py"),
    "sandbox/sae/summary.py": ("tests/test_report.py",),
    "sandbox/sae/resume.py": ("tests/test_state.py",),
    "sandbox/sae/ranks.py": ("tests/test_ranks.py",),
    "sandbox/sae/parts.py": ("tests/test_parts.py",),
    "sandbox/sae/rescale.py": ("tests/test_rescale.py",),
    "sandbox/sae/correction.py": ("tests/test_correction.py",),
    "sandbox/sae/preflight/check.py": PREFLIGHT,
    "sandbox/sae/preflight/biases.py": PREFLIGHT[:1],
    "sandbox/sae/preflight/fit.py": PREFLIGHT[:1],
    "sandbox/sae/preflight/sample.py": PREFLIGHT[:1],
    "sandbox/sae/preflight/spaces.py": PREFLIGHT,
    "sandbox/sae/checkpoints/layout.py": (*SAELENS, "tests/checkpoints/test_writing.py"),
    "sandbox/sae/checkpoints/saelens_settings.py": SAELENS,
    "sandbox/sae/checkpoints/strict.py": SAELENS,
}

SKIPPED: dict[str, frozenset[str]] = {
    "sandbox/fused.py": frozenset({"_add_rows", "_add_tiles", "_kernels", "_works_on"}),
}
"""Functions that are left alone: kernels and what starts them, which only a GPU runs as they are."""

SLOW = (
    "tests/test_closed_form.py::test_the_table_of_other_strengths_has_no_column_of_theory",
    "tests/test_closed_form.py::test_the_command_line_says_where_there_is_no_theory",
    # torchrun once with two processes, and once with GPUs that are pretended, has to do
    "tests/test_ranks.py::test_the_report_is_that_of_one_process[3]",
    "tests/test_ranks.py::test_a_rank_without_data_adds_nothing",
    "tests/test_ranks.py::test_each_may_have_a_file_of_its_own",
    "tests/test_ranks.py::test_a_rank_that_fails_ends_the_run_with_its_error",
)
"""Tests that are left out, by the beginning of their names."""
