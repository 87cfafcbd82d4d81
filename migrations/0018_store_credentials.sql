-- What opens the object store, unreadable without a key that is in no database.

CREATE TABLE store_credentials (
  name text PRIMARY KEY CHECK (name <> ''),
  sealed bytea NOT NULL CHECK (length(sealed) BETWEEN 29 AND 65536),
  key_id text NOT NULL CHECK (key_id ~ '^[0-9a-f]{16}$'),
  set_by text NOT NULL CHECK (set_by <> ''),
  set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE store_credentials IS 'Credentials of object stores, sealed with AES-256-GCM.';
COMMENT ON COLUMN store_credentials.name IS 'Of which store; ''site'' is the one of object_store in the settings.';
COMMENT ON COLUMN store_credentials.sealed IS 'Nonce, ciphertext and tag; the name is authenticated with them.';
COMMENT ON COLUMN store_credentials.key_id IS 'Which key opens it: the first half of a hash of the key.';
