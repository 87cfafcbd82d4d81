-- What a run is re-created from, beside its job file and its data: its code, what stood around it, and which run it came from.

ALTER TABLE run
  ADD COLUMN code jsonb,
  ADD COLUMN start_checkpoint_id bigint REFERENCES checkpoint,
  ADD COLUMN reproduces_id bigint REFERENCES job;
COMMENT ON COLUMN run.code IS 'The tar of the work tree it was submitted from (CodeCapture); NULL where none was captured.';
COMMENT ON COLUMN run.start_checkpoint_id IS 'The checkpoint of another run that it starts from, until it has one of its own.';
COMMENT ON COLUMN run.reproduces_id IS 'The run that it does again.';
CREATE INDEX run_start_checkpoint ON run (start_checkpoint_id) WHERE start_checkpoint_id IS NOT NULL;
CREATE INDEX run_reproduces ON run (reproduces_id) WHERE reproduces_id IS NOT NULL;

CREATE TABLE environment (
  sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  content jsonb NOT NULL
);
COMMENT ON TABLE environment IS 'What stood around ranks on a node (NodeEnvironment), named by its content: equal nodes share one.';

ALTER TABLE attempt_node ADD COLUMN environment_sha256 text REFERENCES environment;
COMMENT ON COLUMN attempt_node.environment_sha256 IS 'What stood around the ranks there; NULL while the node has not told.';
