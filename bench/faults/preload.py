"""All that a process of the crew will need, imported once, in the process that they are forked from."""

import cryptography.hazmat.primitives.ciphers.aead
import httpx2
import psycopg
import redis

import valetkey.deadlines
import valetkey.engine.disconnect
import valetkey.engine.renewal
import valetkey.engine.replay
import valetkey.engine.secrets
import valetkey.host
import valetkey.journal
import valetkey.keys.files
import valetkey.model.journal_sealing
import valetkey.stores.postgres
import valetkey.stores.redis
import valetkey.stores.sqlite

LOADED = (cryptography, httpx2, psycopg, redis, valetkey)
