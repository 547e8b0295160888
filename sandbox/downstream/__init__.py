"""What SAEs cost a language model: its loss with activations replaced by reconstructions.

A run opens a model, its text and SAEs (`spliced`), and reads the text in two halves. On the documents of the first it
gathers activations and fits corrections (`fits`), and searches the factor of the least loss (`search`). On the others a
`Reader` takes the place of a tap: it runs the model with and without replaced activations (`splice`, `replacements`)
and gives a row of losses for each token, which are summed by documents (`totals`) and reported
(`sandbox.report.loss_report`).
"""

from sandbox.downstream.measure import loss
from sandbox.downstream.options import Options

__all__ = ["Options", "loss"]
