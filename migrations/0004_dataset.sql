-- Named, versioned data, and where copies of it are.

CREATE TABLE dataset (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES project,
  name text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (project_id, name)
);
COMMENT ON TABLE dataset IS 'A name under which a project keeps versions of data.';

CREATE TABLE dataset_version (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id bigint NOT NULL REFERENCES dataset,
  version integer NOT NULL CHECK (version >= 1),
  content_id text NOT NULL CHECK (content_id ~ '^[0-9a-f]{64}$'),
  total_bytes bigint NOT NULL CHECK (total_bytes >= 0),
  object_count integer NOT NULL CHECK (object_count >= 0),
  manifest_key text NOT NULL CHECK (manifest_key <> ''),
  source text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (dataset_id, version),
  UNIQUE (dataset_id, content_id)
);
COMMENT ON TABLE dataset_version IS 'One content of a data set; never changed once it is here.';
COMMENT ON COLUMN dataset_version.content_id IS 'SHA-256 of the manifest''s canonical text.';

CREATE TABLE replica (
  node_id bigint NOT NULL REFERENCES node ON DELETE CASCADE,
  dataset_version_id bigint NOT NULL REFERENCES dataset_version,
  state text NOT NULL CHECK (state IN ('STAGING', 'VERIFIED', 'CORRUPT')),
  verified_at timestamptz,
  PRIMARY KEY (node_id, dataset_version_id),
  CHECK (state <> 'VERIFIED' OR verified_at IS NOT NULL)
);
COMMENT ON TABLE replica IS 'A copy of a data set version on the disk of a node.';
CREATE INDEX replica_dataset_version ON replica (dataset_version_id);
