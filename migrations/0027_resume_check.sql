-- Whether a run goes on from a checkpoint as if nothing had happened, and what ranks said that they had loaded.

CREATE TABLE loaded_state (
  attempt_id bigint NOT NULL REFERENCES attempt,
  rank integer NOT NULL CHECK (rank >= 0),
  step bigint NOT NULL CHECK (step >= 0),
  ingredients jsonb NOT NULL,
  PRIMARY KEY (attempt_id, rank)
);
COMMENT ON TABLE loaded_state IS 'What a rank said about its state right after it had loaded a checkpoint: names and digests.';

CREATE TABLE resume_check (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id bigint NOT NULL REFERENCES job,
  checkpoint_id bigint NOT NULL REFERENCES checkpoint,
  steps integer NOT NULL CHECK (steps >= 1),
  metric text NOT NULL CHECK (metric <> ''),
  tolerance double precision NOT NULL CHECK (tolerance >= 0),
  saved jsonb,
  first_replay_id bigint NOT NULL UNIQUE REFERENCES job,
  second_replay_id bigint NOT NULL UNIQUE REFERENCES job,
  requested_by text NOT NULL CHECK (requested_by <> ''),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  verdict jsonb,
  ended_at timestamptz,
  CONSTRAINT resume_check_ended CHECK ((verdict IS NULL) = (ended_at IS NULL))
);
COMMENT ON TABLE resume_check IS 'Two replays of the steps after a checkpoint, and what came of comparing them with the original.';
COMMENT ON COLUMN resume_check.saved IS 'What the program said about its state when it saved; NULL where it said nothing.';
CREATE INDEX resume_check_open ON resume_check (id) WHERE verdict IS NULL;
CREATE INDEX resume_check_job ON resume_check (job_id, id DESC);
