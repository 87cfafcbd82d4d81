-- How often in a row the nodes of a job were lost, and nothing came of it.

ALTER TABLE job ADD COLUMN lost_in_row integer NOT NULL DEFAULT 0 CHECK (lost_in_row >= 0);
COMMENT ON COLUMN job.lost_in_row IS
  'Attempts in a row that were LOST without a new checkpoint or step; a release begins to count anew.';
