"""Tests that drive a real Chromium, and in it a real JupyterLab: all in one worker, so that each starts once."""
