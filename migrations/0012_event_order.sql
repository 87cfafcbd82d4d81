-- An order of the audit log in which no line ever appears behind one that was read already.

-- A line's id is drawn before its transaction ends, so a greater id can be seen first. The transaction that wrote it
-- orders it among all others: those before the oldest that is still open are complete, and none is added to them.
ALTER TABLE event ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id();
COMMENT ON COLUMN event.written_by IS
  'The transaction that wrote it: lines are streamed in the order of (written_by, id), up to the oldest open one.';
CREATE INDEX event_in_order ON event (written_by, id);
