"""Layer 4: stores."""
