-- What every scheduling round asks, however much is over and done.

CREATE INDEX job_live ON job (id) WHERE ended_at IS NULL;

CREATE INDEX attempt_node_no_room ON attempt_node (node_id) WHERE agent_state = 'diskTooSmall';
COMMENT ON INDEX attempt_node_no_room IS
  'Attempts that ended on a node since its agent found no room. By node alone: the time of the last contact changes often, and is in no index.';
