"""Where master keys live: a file, the environment, the OS keyring, or this process only.

>>> from valetkey.keys import new_key
>>> len(new_key().id)
8
"""

from valetkey.keys.environment import EnvKeys
from valetkey.keys.files import FileKeys, KeyFileWarning
from valetkey.keys.keyring import KeyringKeys
from valetkey.keys.memory import MemoryKeys
from valetkey.keys.opening import open_keys
from valetkey.model.ciphers import new_master_key as new_key

__all__ = ["EnvKeys", "FileKeys", "KeyFileWarning", "KeyringKeys", "MemoryKeys", "new_key", "open_keys"]
