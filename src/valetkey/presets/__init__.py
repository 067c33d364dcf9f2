"""Facts about providers, as data (one TOML file each)."""
