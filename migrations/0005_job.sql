-- What was submitted, and what is needed to re-create it.

CREATE TABLE job (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES project,
  user_id bigint NOT NULL REFERENCES app_user,
  name text NOT NULL CHECK (name <> ''),
  state text NOT NULL DEFAULT 'PENDING' CHECK (state IN (
    'PENDING', 'HELD', 'STAGING', 'LAUNCHING', 'RUNNING', 'CHECKPOINTING', 'LEASE_WAIT', 'COMPLETED', 'FAILED',
    'TIMEOUT', 'CANCELLED')),
  reason text,
  reason_detail text,
  priority integer NOT NULL CHECK (priority BETWEEN 0 AND 100),
  spec jsonb NOT NULL,
  spec_text text NOT NULL,
  submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  submission_key text,
  started_at timestamptz,
  ended_at timestamptz,
  exit_code integer,
  latest_checkpoint_id bigint,
  running_seconds double precision NOT NULL DEFAULT 0 CHECK (running_seconds >= 0),
  restarts integer NOT NULL DEFAULT 0 CHECK (restarts >= 0),
  node_failures integer NOT NULL DEFAULT 0 CHECK (node_failures >= 0),
  cancel_requested_at timestamptz,
  UNIQUE (user_id, submission_key),
  CONSTRAINT job_ended CHECK ((state IN ('COMPLETED', 'FAILED', 'TIMEOUT', 'CANCELLED')) = (ended_at IS NOT NULL)),
  CONSTRAINT job_exit_code CHECK (exit_code IS NULL OR ended_at IS NOT NULL),
  CONSTRAINT job_completed CHECK (state <> 'COMPLETED' OR exit_code IS NOT DISTINCT FROM 0),
  CONSTRAINT job_started CHECK (
    state NOT IN ('STAGING', 'LAUNCHING', 'RUNNING', 'CHECKPOINTING', 'COMPLETED') OR started_at IS NOT NULL)
);
COMMENT ON TABLE job IS 'What was submitted, and where it stands.';
COMMENT ON COLUMN job.submission_key IS 'Chosen by the client: the same key again is the same job.';
COMMENT ON COLUMN job.restarts IS 'Attempts that were given after a failure of the program; the end of a lease never counts.';
COMMENT ON COLUMN job.node_failures IS 'Attempts in a row that ended by trouble of nodes before the ranks ran.';
COMMENT ON COLUMN job.cancel_requested_at IS 'A person wants it ended; it is once its attempt has ended.';
CREATE INDEX job_waiting ON job (priority DESC, submitted_at, id) WHERE state IN ('PENDING', 'LEASE_WAIT', 'HELD');
CREATE INDEX job_project ON job (project_id, id DESC);

CREATE TABLE run (
  job_id bigint PRIMARY KEY REFERENCES job,
  git_commit text,
  git_diff text,
  git_dirty boolean NOT NULL DEFAULT false,
  workdir text,
  software jsonb NOT NULL DEFAULT '{}',
  hostname text
);
COMMENT ON TABLE run IS 'Where a job''s code came from and what stood around it; attempts, metrics and checkpoints are beside it.';

CREATE TABLE job_dataset (
  job_id bigint NOT NULL REFERENCES job,
  dataset_version_id bigint NOT NULL REFERENCES dataset_version,
  PRIMARY KEY (job_id, dataset_version_id)
);
COMMENT ON TABLE job_dataset IS 'The data set versions a job was pinned to when it was submitted.';
CREATE INDEX job_dataset_version ON job_dataset (dataset_version_id);
