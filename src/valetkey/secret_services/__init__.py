"""Layer 4: secret services."""
