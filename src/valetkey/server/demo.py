"""The practice provider inside this server: a first connection without an account anywhere."""

from __future__ import annotations

import threading

from valetkey.core import Core
from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.practising import NAME, declare_practice, erase_connections, is_free
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, PracticeProvider
from valetkey.values import Secret


class Demo:
    """A practice provider on loopback, started when somebody asks for it, and stopped with the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._provider: PracticeProvider | None = None

    @property
    def provider(self) -> PracticeProvider | None:
        """The provider; None while nobody asked for it."""
        return self._provider

    def start(self, core: Core) -> OAuth2Credential:
        """Start it once, and declare it; what was connected to an earlier one is erased.

        Raises:
            ConfigurationError: The program has a credential of that name (``name_taken``).
        """
        with self._lock:
            if self._provider is not None:
                return core.credential(NAME)
            if not is_free(core):
                msg = f"there is a credential {NAME!r} of your own"
                raise ConfigurationError(msg, code="name_taken", hint="practise in an environment of its own")
            provider = PracticeProvider(auto_approve=False, clock=core.clock).start()
            try:
                erase_connections(core)
                app = AppCredentials(client_id=DEFAULT_CLIENT_ID, client_secret=Secret(DEFAULT_CLIENT_SECRET))
                credential = declare_practice(core, provider.credential_fields(), app, source="console")
            except BaseException:
                provider.stop()
                raise
            self._provider = provider
            return credential

    def stop(self) -> None:
        """Stop it; its connections are erased when it is started the next time."""
        with self._lock:
            provider, self._provider = self._provider, None
        if provider is not None:
            provider.stop()
