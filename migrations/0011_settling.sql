-- What an ended attempt left in the object store, and nobody has brought in yet.

CREATE TABLE attempt_unsettled (
  attempt_id bigint PRIMARY KEY REFERENCES attempt
);
COMMENT ON TABLE attempt_unsettled IS
  'Attempts that ended without their last word being heard: checkpoints and metrics may lie in the store. '
  'Their job starts nothing new until they are settled.';
