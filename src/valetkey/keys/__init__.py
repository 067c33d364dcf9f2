"""Layer 4: where master keys come from."""
