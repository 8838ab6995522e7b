"""Measuring readers."""
