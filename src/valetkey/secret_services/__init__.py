"""Where secrets may live beside the store: memory, environment variables, a ``.env`` file, the OS keyring."""

from valetkey.secret_services.dotenv import DotenvSecrets
from valetkey.secret_services.environment import EnvSecrets
from valetkey.secret_services.keyring import KeyringSecrets
from valetkey.secret_services.memory import MemorySecrets
from valetkey.secret_services.opening import open_secrets

__all__ = ["DotenvSecrets", "EnvSecrets", "KeyringSecrets", "MemorySecrets", "open_secrets"]
