"""From pixels to motion: pure functions from arrays to arrays."""
