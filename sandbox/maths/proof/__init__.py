"""How a derivation is checked: what a term means, what a step may do, and how both are typeset."""
