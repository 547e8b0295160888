"""Tests that drive a real Chromium, and in it a real JupyterLab."""
