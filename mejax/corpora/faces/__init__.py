"""Made-up faces for the synthetic corpus: how they look and how they move."""
