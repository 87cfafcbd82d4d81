-- What a handoff is measured from, and how a lease's end is played.

-- On the node's row: an attempt's own row tells everybody when it changes, and a curve that grows should not.
ALTER TABLE attempt_node ADD COLUMN last_step_at timestamptz,
  ADD COLUMN restore_seconds double precision CHECK (restore_seconds >= 0);
COMMENT ON COLUMN attempt_node.last_step_at IS
  'When values of it were last heard of, by this clock; what was found after the attempt had ended does not count.';
COMMENT ON COLUMN attempt_node.restore_seconds IS 'How long the checkpoint to resume from took to come to this node.';

ALTER TABLE attempt ADD COLUMN leave_asked_at timestamptz;
COMMENT ON COLUMN attempt.leave_asked_at IS
  'Somebody plays its lease''s end: it saves, leaves, and its job goes on in another attempt.';
