-- Who decides, and what the sweeps found.

CREATE TABLE controller (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch bigint NOT NULL CHECK (epoch >= 0),
  holder text,
  taken_at timestamptz,
  heartbeat_at timestamptz,
  CHECK ((holder IS NULL) = (heartbeat_at IS NULL))
);
COMMENT ON TABLE controller IS 'The one row that says which daemon decides; a write of an older epoch changes nothing.';
INSERT INTO controller (epoch) VALUES (0);

CREATE FUNCTION controller_epoch_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR NEW.epoch < OLD.epoch THEN
    RAISE EXCEPTION 'the controller epoch never goes back'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'controller_epoch_grows';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER controller_epoch_grows BEFORE UPDATE OR DELETE ON controller
  FOR EACH ROW EXECUTE FUNCTION controller_epoch_grows();

CREATE TABLE sweep_report (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  report jsonb NOT NULL,
  CHECK (ended_at >= started_at)
);
COMMENT ON TABLE sweep_report IS 'What one sweep over the checkpoints found and did.';
