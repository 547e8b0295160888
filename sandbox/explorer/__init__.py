"""The explorer: a picture of x and x̂ to drag, as a notebook widget and as a web page that needs no Python."""
