"""A sparse autoencoder or transcoder as a plain module, whatever its architecture: encode to latents, decode to x̂."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from sandbox.checkpoints.activation_functions import Gate, ReLU
from sandbox.checkpoints.normalisation import Normalised
from sandbox.errors import InputError


class SAE(nn.Module):
    """x̂ = feature_acts·W_dec + b_dec, with feature_acts = activation((x − b_dec)·W_enc + b_enc).

    An SAE that was trained with a normalisation of each token applies it to x first and undoes it on x̂ last, so x and
    x̂ always share a space. A transcoder has the same form, but its output ŷ reconstructs other activations y than the x
    that it reads; below, x̂ and d_in stand for ŷ and d_out, too. A skip adds W_skip·x to either.

    Args:
        W_enc:  Float[Tensor, "d_in d_sae"]; b_enc: Float[Tensor, "d_sae"], or None for none
        W_dec:  Float[Tensor, "d_sae d_out"]; b_dec: Float[Tensor, "d_out"]; d_out is d_in unless it is a transcoder
        W_skip: Float[Tensor, "d_out d_in"], or None for none
        activation:     from pre-activations to latents (`sandbox.checkpoints.activation_functions`)
        normalisation:  of each token (`sandbox.checkpoints.normalisation`), or None
        subtract_b_dec: whether b_dec is subtracted from x before encoding
        transcodes:     whether it is a transcoder; None if its files do not say
    """

    W_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    b_enc: Tensor | None
    W_skip: Tensor | None

    def __init__(
        self,
        W_enc: Tensor,
        W_dec: Tensor,
        b_dec: Tensor,
        b_enc: Tensor | None = None,
        *,
        activation: nn.Module | None = None,
        normalisation: nn.Module | None = None,
        subtract_b_dec: bool,
        W_skip: Tensor | None = None,
        transcodes: bool | None = False,
    ):
        super().__init__()
        self.subtract_b_dec = subtract_b_dec
        self.transcodes = transcodes
        self.activation = activation or ReLU()
        self.normalisation = normalisation
        every = {"W_enc": W_enc, "W_dec": W_dec, "b_dec": b_dec, "b_enc": b_enc, "W_skip": W_skip}
        for name, weights in every.items():
            self.register_buffer(name, weights)

    @property
    def d_in(self) -> int:
        """Dimension of the activations that it reads."""
        return self.W_enc.shape[0]

    @property
    def d_out(self) -> int:
        """Dimension of the activations that it reconstructs."""
        return self.W_dec.shape[1]

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.W_dec.shape[0]

    @property
    def architecture(self) -> str:
        """standard, gated, jumprelu, topk or groupmax."""
        return str(self.activation.architecture)

    def normalise(self, x: Float[Tensor, "*batch d_in"]) -> Normalised:
        """x as the encoder sees it, with the scale and shift that undo it (1 and 0 without normalisation)."""
        return Normalised(x, x.new_ones(1), 0.0) if self.normalisation is None else self.normalisation(x)

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents' activations."""
        z = x if self.normalisation is None else self.normalisation(x).z
        if self.subtract_b_dec:
            z = z - self.b_dec
        return self.activation(linear(z, self.W_enc.mT, self.b_enc))

    def decode(
        self, feature_acts: Float[Tensor, "*batch d_sae"], x: Float[Tensor, "*batch d_in"] | None = None
    ) -> Float[Tensor, "*batch d_out"]:
        """The reconstruction x̂, including the decoder's bias.

        Args:   x: the encoded activations; required if the SAE normalises tokens, which it undoes, or has a skip
        Raises: InputError if x is required and missing
        """
        return self.completed(linear(feature_acts, self.W_dec.mT, self.b_dec), x)

    def completed(
        self, z_hat: Float[Tensor, "*batch d_out"], x: Float[Tensor, "*batch d_in"] | None = None
    ) -> Float[Tensor, "*batch d_out"]:
        """x̂ from the decoder's output: normalisation undone, skip added. Arguments and errors: as `decode`."""
        if self.normalisation is None and self.W_skip is None:
            return z_hat
        if x is None:
            reason = "adds W_skip·x" if self.normalisation is None else "normalises each token"
            raise InputError(f"this SAE {reason}, so decode needs x: decode(feature_acts, x)")
        if self.normalisation is not None:
            _, scale, shift = self.normalisation(x)
            z_hat = z_hat * scale + shift
        return z_hat if self.W_skip is None else z_hat + linear(x, self.W_skip)

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """x̂."""
        return self.decode(self.encode(x), x)

    def with_decoder(self, W_dec: Float[Tensor, "d_sae d_out"], b_dec: Float[Tensor, "d_out"]) -> SAE:
        """The SAE with the same latents and another decoder.

        If b_dec is subtracted from the input, the encoder's biases compensate for the change of b_dec.
        """
        b_enc, activation = self.b_enc, self.activation
        if self.subtract_b_dec:
            shift = (b_dec - self.b_dec) @ self.W_enc
            if isinstance(activation, Gate):
                activation = activation.moved(shift)
            else:
                b_enc = shift if b_enc is None else b_enc + shift
        return SAE(
            self.W_enc,
            W_dec,
            b_dec,
            b_enc,
            activation=activation,
            normalisation=self.normalisation,
            subtract_b_dec=self.subtract_b_dec,
            W_skip=self.W_skip,
            transcodes=self.transcodes,
        )

    def describe(self) -> str:
        """One line: architecture, sizes, conventions."""
        parts = [
            self.architecture
            + (" transcoder" if self.transcodes else "")
            + (f" (k = {self.activation.k})" if self.architecture in ("topk", "groupmax") else ""),
            f"d_in {self.d_in}",
            *([f"d_out {self.d_out}"] if self.transcodes else []),
            f"d_sae {self.d_sae}",
            f"decoder bias subtracted from the input: {'yes' if self.subtract_b_dec else 'no'}",
        ]
        if self.W_skip is not None:
            parts.append("a skip, W_skip·x, is part of " + ("ŷ" if self.transcodes else "x̂"))
        if self.normalisation is not None:
            parts.append(str(self.normalisation.described))
        return ", ".join(parts)
