"""Pixels to motion: pure functions, arrays in and arrays out."""
