-- What is kept whatever the policy says; what was read back, and when; and who sweeps.

CREATE TABLE checkpoint_pin (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  checkpoint_id bigint NOT NULL REFERENCES checkpoint,
  job_id bigint REFERENCES job,
  pinned_by text NOT NULL CHECK (pinned_by <> ''),
  note text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE NULLS NOT DISTINCT (checkpoint_id, job_id)
);
COMMENT ON TABLE checkpoint_pin IS 'A wish that a checkpoint be kept.';
COMMENT ON COLUMN checkpoint_pin.job_id IS 'The run that resumes from it, whose pin counts until it is over; NULL for a person''s, which counts until it is taken back.';

CREATE FUNCTION checkpoint_is_pinned(wanted bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1 FROM checkpoint_pin p LEFT JOIN job h ON h.id = p.job_id
    WHERE p.checkpoint_id = wanted AND (p.job_id IS NULL OR h.ended_at IS NULL))
$$;

CREATE FUNCTION checkpoint_pinned_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF checkpoint_is_pinned(NEW.id) THEN
    RAISE EXCEPTION 'checkpoint % is pinned and cannot be pruned', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoint_pinned_stays';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER checkpoint_pinned_stays BEFORE UPDATE OF state ON checkpoint
  FOR EACH ROW WHEN (NEW.state = 'PRUNED' AND OLD.state <> 'PRUNED') EXECUTE FUNCTION checkpoint_pinned_stays();

ALTER TABLE checkpoint ADD COLUMN verified_at timestamptz;
COMMENT ON COLUMN checkpoint.verified_at IS 'When all of it was last read back after it became DURABLE.';
CREATE INDEX checkpoint_verified ON checkpoint ((coalesce(verified_at, durable_at)), id) WHERE state = 'DURABLE';

CREATE TABLE sweep_state (
  is_row boolean PRIMARY KEY DEFAULT true CHECK (is_row),
  over_job_id bigint NOT NULL DEFAULT 0,
  holder text,
  held_since timestamptz
);
COMMENT ON TABLE sweep_state IS 'One row: how far sweeps have come, and who sweeps or did last; an advisory lock says whether somebody does.';
COMMENT ON COLUMN sweep_state.over_job_id IS 'Of the jobs that are over, those up to this one were looked at in this round.';
INSERT INTO sweep_state DEFAULT VALUES;
