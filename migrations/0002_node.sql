-- Machines and their GPUs.

CREATE TABLE node (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  address text NOT NULL CHECK (address <> ''),
  port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
  ssh_user text NOT NULL CHECK (ssh_user <> ''),
  host_key text NOT NULL CHECK (host_key <> ''),
  root_path text NOT NULL CHECK (root_path LIKE '/%'),
  node_type text NOT NULL CHECK (node_type <> ''),
  state text NOT NULL DEFAULT 'ABSENT' CHECK (state IN ('ALIVE', 'SUSPECT', 'DEAD', 'ABSENT')),
  drained boolean NOT NULL DEFAULT false,
  drain_reason text,
  disk_total bigint NOT NULL DEFAULT 0 CHECK (disk_total >= 0),
  disk_free bigint NOT NULL DEFAULT 0 CHECK (disk_free >= 0),
  cores integer NOT NULL DEFAULT 0 CHECK (cores >= 0),
  memory_bytes bigint NOT NULL DEFAULT 0 CHECK (memory_bytes >= 0),
  facts jsonb NOT NULL DEFAULT '{}',
  agent_version text,
  last_seen_at timestamptz,
  added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (drained OR drain_reason IS NULL)
);
COMMENT ON TABLE node IS 'A machine that can be leased. Its host key is pinned when it is added: another key is refused.';
COMMENT ON COLUMN node.root_path IS 'The folder on the node below which everything of Baton lies.';
COMMENT ON COLUMN node.facts IS 'Whatever else the last probe found; for people, never for decisions.';

CREATE TABLE gpu (
  node_id bigint NOT NULL REFERENCES node ON DELETE CASCADE,
  gpu_index integer NOT NULL CHECK (gpu_index >= 0),
  model text NOT NULL,
  memory_bytes bigint NOT NULL CHECK (memory_bytes >= 0),
  uuid text NOT NULL,
  is_stand_in boolean NOT NULL DEFAULT false,
  PRIMARY KEY (node_id, gpu_index)
);
COMMENT ON TABLE gpu IS 'A device of a node, as the last probe saw it.';
COMMENT ON COLUMN gpu.is_stand_in IS 'No hardware is behind it: a lab says it is there.';
