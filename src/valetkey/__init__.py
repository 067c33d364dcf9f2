"""OAuth2 credentials for third-party services: connected once, kept fresh, refreshed exactly once."""
