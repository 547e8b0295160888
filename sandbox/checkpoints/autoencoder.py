"""A sparse autoencoder as a plain module, whatever its architecture: encode to latents, decode to x̂."""

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
    x̂ always share a space.

    Args:
        W_enc: Float[Tensor, "d_in d_sae"]; b_enc: Float[Tensor, "d_sae"], or None for none
        W_dec: Float[Tensor, "d_sae d_in"]; b_dec: Float[Tensor, "d_in"]
        activation:     from pre-activations to latents (`sandbox.checkpoints.activation_functions`)
        normalisation:  of each token (`sandbox.checkpoints.normalisation`), or None
        subtract_b_dec: whether b_dec is subtracted from x before encoding
    """

    W_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    b_enc: Tensor | None

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
    ):
        super().__init__()
        self.subtract_b_dec = subtract_b_dec
        self.activation = activation or ReLU()
        self.normalisation = normalisation
        for name, weights in {"W_enc": W_enc, "W_dec": W_dec, "b_dec": b_dec, "b_enc": b_enc}.items():
            self.register_buffer(name, weights)

    @property
    def d_in(self) -> int:
        """Dimension of the activations."""
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
    ) -> Float[Tensor, "*batch d_in"]:
        """The reconstruction x̂, including the decoder's bias.

        Args:   x: the encoded activations, which set the scale; required if the SAE normalises tokens
        Raises: InputError if x is required and missing
        """
        return self.denormalise(linear(feature_acts, self.W_dec.mT, self.b_dec), x)

    def denormalise(
        self, z_hat: Float[Tensor, "*batch d_in"], x: Float[Tensor, "*batch d_in"] | None = None
    ) -> Float[Tensor, "*batch d_in"]:
        """x̂ from the decoder's output, which is in the normalised space. Arguments and errors: as `decode`."""
        if self.normalisation is None:
            return z_hat
        if x is None:
            raise InputError("this SAE normalises each token, so decode needs x: decode(feature_acts, x)")
        _, scale, shift = self.normalisation(x)
        return z_hat * scale + shift

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_in"]:
        """x̂."""
        return self.decode(self.encode(x), x)

    def with_decoder(self, W_dec: Float[Tensor, "d_sae d_in"], b_dec: Float[Tensor, "d_in"]) -> SAE:
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
        settings = {"normalisation": self.normalisation, "subtract_b_dec": self.subtract_b_dec}
        return SAE(self.W_enc, W_dec, b_dec, b_enc, activation=activation, **settings)

    def describe(self) -> str:
        """One line: architecture, sizes, conventions."""
        parts = [
            self.architecture + (f" (k = {self.activation.k})" if self.architecture in ("topk", "groupmax") else ""),
            f"d_in {self.d_in}",
            f"d_sae {self.d_sae}",
            f"decoder bias subtracted from the input: {'yes' if self.subtract_b_dec else 'no'}",
        ]
        if self.normalisation is not None:
            parts.append(str(self.normalisation.described))
        return ", ".join(parts)
