-- How fast data came to nodes: what the planner expects of the next staging.

CREATE TABLE staging_measure (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node_id bigint NOT NULL REFERENCES node ON DELETE CASCADE,
  attempt_id bigint REFERENCES attempt,
  bytes bigint NOT NULL CHECK (bytes > 0),
  seconds double precision NOT NULL CHECK (seconds > 0),
  measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (attempt_id, node_id)
);
COMMENT ON TABLE staging_measure IS 'A staging on a node: what came there, and how long it took; only the newest are kept.';
COMMENT ON COLUMN staging_measure.attempt_id IS 'NULL where it was staged ahead of any attempt.';
