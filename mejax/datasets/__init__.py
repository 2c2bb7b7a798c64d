"""Clips to examples, examples to a TFDS dataset, and back as arrays."""
