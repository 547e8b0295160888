"""SAEs written by SAELens itself, with random, non-trivial values in every tensor."""

import warnings

import torch

with warnings.catch_warnings():  # SAELens' own imports warn; every test imports it from here
    warnings.simplefilter("ignore")
    import sae_lens
    from sae_lens.loading import pretrained_saes_directory

registry, directory_of_saes = sae_lens.registry, pretrained_saes_directory.get_pretrained_saes_directory

D_IN, D_SAE = 24, 96
INFERENCE = {
    "standard": (sae_lens.StandardSAE, sae_lens.StandardSAEConfig, {}),
    "gated": (sae_lens.GatedSAE, sae_lens.GatedSAEConfig, {}),
    "jumprelu": (sae_lens.JumpReLUSAE, sae_lens.JumpReLUSAEConfig, {}),
    "topk": (sae_lens.TopKSAE, sae_lens.TopKSAEConfig, {"k": 9}),
}
TRAINING = {
    "standard": (sae_lens.StandardTrainingSAE, sae_lens.StandardTrainingSAEConfig, {}),
    "gated": (sae_lens.GatedTrainingSAE, sae_lens.GatedTrainingSAEConfig, {}),
    "jumprelu": (sae_lens.JumpReLUTrainingSAE, sae_lens.JumpReLUTrainingSAEConfig, {}),
    "topk": (sae_lens.TopKTrainingSAE, sae_lens.TopKTrainingSAEConfig, {"k": 9}),
    "batchtopk": (sae_lens.BatchTopKTrainingSAE, sae_lens.BatchTopKTrainingSAEConfig, {"k": 9.5}),
    "matryoshka_batchtopk": (
        sae_lens.MatryoshkaBatchTopKTrainingSAE,
        sae_lens.MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 9.5, "matryoshka_widths": [32, D_SAE]},
    ),
}
D_OUT = 20
TRANSCODERS = {
    "transcoder": (sae_lens.Transcoder, sae_lens.TranscoderConfig, {}),
    "skip_transcoder": (sae_lens.SkipTranscoder, sae_lens.SkipTranscoderConfig, {}),
    "jumprelu_transcoder": (sae_lens.JumpReLUTranscoder, sae_lens.JumpReLUTranscoderConfig, {}),
    "jumprelu_skip_transcoder": (sae_lens.JumpReLUSkipTranscoder, sae_lens.JumpReLUSkipTranscoderConfig, {}),
}
TRANSCODERS = {
    name: (make, config, {"d_out": D_OUT, "apply_b_dec_to_input": False})
    for name, (make, config, _) in TRANSCODERS.items()
}
BY_BATCH = ("batchtopk", "matryoshka_batchtopk")


def tokens(n: int = 400):
    return torch.randn(n, D_IN, generator=torch.Generator().manual_seed(1))


def made(architecture: str, kinds=INFERENCE, **options):
    make, config, needed = kinds[architecture]
    return randomised(make(config(d_in=D_IN, d_sae=D_SAE, **{**needed, **options})))


def randomised(sae):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in sae.parameters():
            weights.copy_(0.3 * torch.randn(weights.shape, generator=generator))
        for name, buffer in sae.named_buffers():
            buffer.fill_(0.9 if name == "topk_threshold" else torch.nan)  # the only buffer with known units
    return sae


def written(folder, architecture: str, kinds=INFERENCE, **options):
    sae = made(architecture, kinds, **options)
    sae.save_model(folder)
    return sae


def loaded(folder):
    return sae_lens.SAE.load_from_disk(folder)
