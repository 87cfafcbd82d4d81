-- The series of a run: one value a step, whatever happened in between.

CREATE TABLE metric_point (
  job_id bigint NOT NULL REFERENCES job,
  metric text NOT NULL CHECK (metric <> ''),
  step bigint NOT NULL CHECK (step >= 0),
  value double precision NOT NULL,
  attempt_number integer NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (job_id, metric, step),
  FOREIGN KEY (job_id, attempt_number) REFERENCES attempt (job_id, number)
);
COMMENT ON TABLE metric_point IS 'The run''s curve.';

CREATE TABLE metric_point_archived (
  job_id bigint NOT NULL REFERENCES job,
  metric text NOT NULL,
  step bigint NOT NULL,
  value double precision NOT NULL,
  attempt_number integer NOT NULL,
  recorded_at timestamptz NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  reason text NOT NULL,
  PRIMARY KEY (job_id, metric, step, attempt_number),
  FOREIGN KEY (job_id, attempt_number) REFERENCES attempt (job_id, number)
);
COMMENT ON TABLE metric_point_archived IS 'Values that were computed and lost with their attempt: after the checkpoint that the next one resumed from.';
