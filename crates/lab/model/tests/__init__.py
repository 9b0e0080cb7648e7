"""Tests of the model: `python3 -m unittest`."""
