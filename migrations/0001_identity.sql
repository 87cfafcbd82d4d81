-- Who owns, who acts, by what right.

CREATE TABLE project (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE project IS 'Who owns leases, jobs and data sets.';

CREATE TABLE app_user (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE app_user IS 'Who acts: a person, or a program that acts for one.';

CREATE TABLE token (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES app_user,
  project_id bigint NOT NULL REFERENCES project,
  role text NOT NULL CHECK (role IN ('user', 'admin', 'viewer')),
  secret_sha256 text NOT NULL UNIQUE CHECK (secret_sha256 ~ '^[0-9a-f]{64}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz,
  CHECK (expires_at > created_at)
);
COMMENT ON TABLE token IS 'By what right a user acts in a project. Holds the SHA-256 of the secret, never the secret.';
CREATE INDEX token_user ON token (user_id);
CREATE INDEX token_project ON token (project_id);
