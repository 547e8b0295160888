"""The explorer: one picture of x and x̂ to be dragged, as a notebook's widget and as a page without Python."""
