"""Tests that drive a real Chromium and a real JupyterLab: in a single worker, so that each starts once."""
