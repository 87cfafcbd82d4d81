-- The audit log, and the wake-up calls.

CREATE TABLE event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL CHECK (actor <> ''),
  action text NOT NULL CHECK (action <> ''),
  subject_kind text NOT NULL CHECK (subject_kind <> ''),
  subject_id bigint NOT NULL,
  project_id bigint REFERENCES project,
  detail jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE event IS 'One line of the audit log: written with what it tells of, never changed.';
CREATE INDEX event_subject ON event (subject_kind, subject_id, id DESC);
CREATE INDEX event_project ON event (project_id, id DESC);

CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'event_is_append_only';
END $$;
CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
  FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only();

CREATE FUNCTION notify_baton() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('baton', TG_ARGV[0] || ':' || NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER job_is_new AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION notify_baton('job');
-- The planner writes why a job waits in every round: that must not wake the planner.
CREATE TRIGGER job_changed AFTER UPDATE ON job FOR EACH ROW
  WHEN ((OLD.state, OLD.priority, OLD.latest_checkpoint_id, OLD.cancel_requested_at) IS DISTINCT FROM
    (NEW.state, NEW.priority, NEW.latest_checkpoint_id, NEW.cancel_requested_at))
  EXECUTE FUNCTION notify_baton('job');
CREATE TRIGGER lease_notifies AFTER INSERT OR UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION notify_baton('lease');
CREATE TRIGGER attempt_notifies AFTER INSERT OR UPDATE ON attempt FOR EACH ROW EXECUTE FUNCTION notify_baton('attempt');
CREATE TRIGGER node_is_new AFTER INSERT ON node FOR EACH ROW EXECUTE FUNCTION notify_baton('node');
-- A probe that found what the one before found wakes nobody.
CREATE TRIGGER node_changed AFTER UPDATE ON node FOR EACH ROW
  WHEN ((OLD.state, OLD.drained, OLD.node_type, OLD.agent_version) IS DISTINCT FROM
    (NEW.state, NEW.drained, NEW.node_type, NEW.agent_version))
  EXECUTE FUNCTION notify_baton('node');
