"""Layer 6: the test kit."""
