-- Which store a folder was when it was first used: an empty mount point looks like an empty store.

CREATE TABLE store_identity (
  location text PRIMARY KEY CHECK (location <> ''),
  identity text NOT NULL CHECK (identity ~ '^[0-9a-f]{32}$'),
  known_since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE store_identity IS 'What is written inside a folder that is an object store: nothing is read from, or written to, another one.';
