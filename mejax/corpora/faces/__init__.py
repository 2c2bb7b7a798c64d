"""The made-up faces of the synthetic corpus: their looks and movements."""
