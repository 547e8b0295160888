"""Which preset shows which claim."""

STATES_OF_CLAIMS: dict[str, str] = {
    number: preset
    for preset, numbers in {
        "near-perpendicular": "C4",
        "equal-lengths": "C3 C5",
        "half": "C1 C2 C7 C9 C29",
        "thales": "C10 C13",
        "relu": "C6 C8 C12 C20",
        "gated": "C11 C27",
        "penalty": "C17 C18 C19",
        "offset": "C14 C25 C26",
        "pooled": "C15 C16 C23 C24 C28",
        "regression": "C22",
        "merge": "C21",
    }.items()
    for number in numbers.split()
}
"""The preset that shows each claim best."""
