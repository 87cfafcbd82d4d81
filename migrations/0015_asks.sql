-- What people ask of a running attempt is kept until its nodes were told, whichever controller tells them.

ALTER TABLE attempt ADD COLUMN checkpoint_asked_at timestamptz, ADD COLUMN kill_asked_at timestamptz;
COMMENT ON COLUMN attempt.checkpoint_asked_at IS 'Somebody wants it to save now; NULL again once every node was told.';
COMMENT ON COLUMN attempt.kill_asked_at IS 'Somebody wants it ended without letting it save.';
