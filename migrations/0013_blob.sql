-- Who may use an object of the store.

CREATE TABLE project_blob (
  project_id bigint NOT NULL REFERENCES project,
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  PRIMARY KEY (project_id, sha256)
);
COMMENT ON TABLE project_blob IS
  'Objects that a project has sent: only whoever has had the bytes may register them, knowing their hash is not enough.';
