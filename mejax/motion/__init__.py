"""Computes motion from pixels, by pure functions from arrays to arrays."""
