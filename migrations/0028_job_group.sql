-- Jobs that one file made together: the members of an array or a matrix.

CREATE TABLE job_group (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES project,
  user_id bigint NOT NULL REFERENCES app_user,
  name text NOT NULL CHECK (name <> ''),
  size integer NOT NULL CHECK (size > 0),
  at_most integer CHECK (at_most > 0),
  spec_text text NOT NULL,
  submission_key text,
  submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (user_id, submission_key)
);
COMMENT ON TABLE job_group IS 'Jobs that one file made together, all in one transaction.';
COMMENT ON COLUMN job_group.at_most IS 'So many of its jobs hold nodes at a time; null is any number.';

ALTER TABLE job
  ADD COLUMN group_id bigint REFERENCES job_group,
  ADD COLUMN group_index integer,
  ADD COLUMN group_values jsonb NOT NULL DEFAULT '{}',
  ADD CONSTRAINT job_group_place CHECK ((group_id IS NULL) = (group_index IS NULL)),
  ADD CONSTRAINT job_group_index UNIQUE (group_id, group_index);
COMMENT ON COLUMN job.group_index IS 'Which of its group: the index of an array, the place in a matrix.';
COMMENT ON COLUMN job.group_values IS 'What the matrix gave this job, by name, as text.';
