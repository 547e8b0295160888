"""What findings say: templates for Python's lines, and for those of the site's page "Your data"."""

SAID = {
    # of x alone
    "first": " (first: {places})",
    "zero": "{name} is zero in every token of the sample: there is nothing to reconstruct",
    "constant": "every token of the sample is the same vector: is this the right file?",
    "zero_tokens": (
        "{zero} of {tokens} tokens of {name} are all zeros{first}, probably padding: remove it before measuring"
    ),
    "small": "{tokens} tokens are too few for this check: give {least} or more",
    "outliers": (
        "{count} of {tokens} tokens have a norm above {limit}, {above} × the median{first}, and hold {share} of "
        "E‖x‖²: probably attention sinks or first positions; rely on the measures without them"
    ),
    "heavy_tokens": (
        "the longest {longest} of {tokens} tokens, of norms up to {times} × the median, hold {share} of E‖x‖²: they "
        "dominate every pooled measure; measure without first positions and similar tokens, too"
    ),
    "float16_cut": (
        "the largest |{name}| is exactly {peak}, the largest float16: the activations were cut off there when they "
        "were saved; save them in float32 or bfloat16"
    ),
    "float16_near": (
        "the largest |{name}| is {peak} in float16, which ends at {most}: larger ones may be infinite or cut off; "
        "save the activations in float32 or bfloat16"
    ),
    # of x̂ beside x
    "float16_x_hat": (
        "the largest |x̂| is {peak} in float16, which ends at {most}: compute the SAE in float32 or bfloat16"
    ),
    "identical": (
        "x̂ equals {name} in every token of the sample, which no SAE achieves: one file or tensor was given twice, "
        "or the error is added back to x̂ (use_error_term)"
    ),
    "zero_x_hat": "x̂ is zero in every token of the sample: no shrinkage can be measured",
    "constant_x_hat": (
        "x̂ is the same vector for every token, so no latent is active and only b_dec is measured; check the scale "
        "of the activations and the threshold"
    ),
    "explained": "the findings above would explain it",
    "unexplained": (
        "the SAE does not belong to these activations (model, layer, hook), or its weights are misread (transposed, "
        "scaled)"
    ),
    "loss": "L/a is {loss} (cosine {cosine}), worse than x̂ = 0: {why}",
    "loss_about_the_mean": (
        "the error is {about} times the variance of x, worse than predicting the mean of x (L/a is only {loss}, "
        "because x has a large mean): {why}"
    ),
    "folding": (
        "γ {of} is {gamma}; SAEs in use have {low} to {high}: check that W_enc, b_enc, W_dec and b_dec are all in "
        "the units of these activations (folding)"
    ),
    # a constant vector
    "offset": "{share} of the loss is one constant vector, the mean of x − x̂ (norm {norm})",
    "no_whole_multiple": "; as that is no whole multiple, b_dec may be folded wrongly",
    "b_dec_missing": (
        "{offset}: x̂ lacks {multiple} × b_dec (cosine {cosine}); add the decoder bias to x̂ (a multiple of 2: it "
        "was subtracted where it should be added){folded}"
    ),
    "b_dec_extra": (
        "{offset}: x̂ has {multiple} × b_dec too much (cosine {cosine}); add the decoder bias to x̂ once, and do "
        "not take it from x before{folded}"
    ),
    "b_dec_folded": (
        "{offset}: it is {multiple} × b_dec (cosine {cosine}), so b_dec times {fits} would fit: b_dec may be folded "
        "wrongly, not scaled with W_dec when a factor was folded into the weights"
    ),
    "mean_missing": (
        "{offset}: it is {multiple} × the mean of x (cosine {cosine}), so x̂ lacks a decoder bias, or the mean that "
        "was taken from x before; add it to x̂"
    ),
    "bias_missing": (
        "{offset}: x̂ lacks or has too much of a bias (b_dec may be folded wrongly), or the SAE was trained on "
        "other activations; check b_dec, and the layer and hook that the activations come from"
    ),
    "or_else": "{message}; or else ({key}) {other}",
    # another space
    "x_hat_space": (
        "x̂ is not in the space of x: its error is {raw} times the variance of x, but {best} times that of "
        "{words}{others}; a normalisation was not undone on x̂: undo it, or compare with x in that space"
    ),
    "scaled": "k·x with k = {factor} ({what})",
    "tried": "found by trying factors, to about 10 %",
    "equally_good": "; equally good on these tokens: {words}",
    "constant_norm": "√d·x/‖x‖ (every token scaled to norm √d)",
    "unit_norm": "x/‖x‖ (every token scaled to norm 1)",
    "layer_norm": "LayerNorm(x) (of every token, its mean removed and its variance made 1)",
    "mean_removed": "x − x̄ (the mean of all tokens removed)",
    # the latents
    "l0": "10 to 200 is usual, here {mean} of {d_sae}",
    "l0_none": (
        "no latent is active for {none} of the tokens (L0: {usual}), where x̂ is b_dec; the activations are too "
        "small for the SAE, or its thresholds are misread"
    ),
    "l0_all": (
        "more than half of the latents are active (L0: {usual}): a threshold or the encoder's bias is missing, or "
        "the activations are too large for the SAE"
    ),
    # of the whole pass
    "longest": (
        "the longest {longest} of {tokens} tokens, of norms above {limit} ({times} × the median), hold {share} of "
        "E‖x‖²: γ is {gamma} with them and {without} without; measure without first positions and similar tokens, "
        "too"
    ),
    "mean_error": (
        "the mean of x − x̂ over all tokens is {share} of the loss: b_dec may be folded wrongly, or the SAE was "
        "trained on other activations"
    ),
}
