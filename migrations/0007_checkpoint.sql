-- What was saved. A job's latest is DURABLE, and goes back only past one found corrupt.

CREATE TABLE checkpoint (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id bigint NOT NULL REFERENCES job,
  attempt_id bigint NOT NULL REFERENCES attempt,
  step bigint NOT NULL CHECK (step >= 0),
  state text NOT NULL CHECK (state IN ('LOCAL', 'UPLOADING', 'DURABLE', 'CORRUPT', 'PRUNED')),
  bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
  object_prefix text,
  manifest_sha256 text CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  durable_at timestamptz,
  save_seconds double precision CHECK (save_seconds >= 0),
  upload_seconds double precision CHECK (upload_seconds >= 0),
  is_final boolean NOT NULL DEFAULT false,
  UNIQUE (attempt_id, step),
  CONSTRAINT checkpoint_durable CHECK (
    state <> 'DURABLE' OR (durable_at IS NOT NULL AND object_prefix IS NOT NULL AND manifest_sha256 IS NOT NULL))
);
COMMENT ON TABLE checkpoint IS 'One saved step of a run.';
COMMENT ON COLUMN checkpoint.is_final IS 'The last save of its attempt, made because the attempt was to end.';
CREATE INDEX checkpoint_job ON checkpoint (job_id, state, step DESC);

ALTER TABLE job ADD CONSTRAINT job_latest_checkpoint FOREIGN KEY (latest_checkpoint_id) REFERENCES checkpoint;
ALTER TABLE attempt ADD CONSTRAINT attempt_resume_checkpoint FOREIGN KEY (resume_checkpoint_id) REFERENCES checkpoint;
CREATE UNIQUE INDEX job_latest ON job (latest_checkpoint_id) WHERE latest_checkpoint_id IS NOT NULL;

CREATE FUNCTION job_latest_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  old_place record;
  new_place record;
BEGIN
  SELECT c.job_id, c.state, a.number, c.step INTO new_place
    FROM checkpoint c JOIN attempt a ON a.id = c.attempt_id WHERE c.id = NEW.latest_checkpoint_id;
  IF NEW.latest_checkpoint_id IS NOT NULL AND (new_place.job_id <> NEW.id OR new_place.state <> 'DURABLE') THEN
    RAISE EXCEPTION 'checkpoint % is % of job %: it cannot be the latest of job %',
      NEW.latest_checkpoint_id, new_place.state, new_place.job_id, NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'job_latest_moves_forward';
  END IF;
  IF TG_OP = 'INSERT' OR OLD.latest_checkpoint_id IS NULL THEN
    RETURN NEW;
  END IF;
  SELECT c.state, a.number, c.step INTO old_place
    FROM checkpoint c JOIN attempt a ON a.id = c.attempt_id WHERE c.id = OLD.latest_checkpoint_id;
  IF old_place.state = 'DURABLE' AND (NEW.latest_checkpoint_id IS NULL
    OR new_place.number < old_place.number OR new_place.step < old_place.step) THEN
    RAISE EXCEPTION 'the latest checkpoint of job % is good and does not move back', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'job_latest_moves_forward';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER job_latest_moves_forward BEFORE UPDATE OF latest_checkpoint_id ON job
  FOR EACH ROW WHEN (OLD.latest_checkpoint_id IS DISTINCT FROM NEW.latest_checkpoint_id)
  EXECUTE FUNCTION job_latest_moves_forward();
CREATE TRIGGER job_latest_is_durable BEFORE INSERT ON job
  FOR EACH ROW WHEN (NEW.latest_checkpoint_id IS NOT NULL) EXECUTE FUNCTION job_latest_moves_forward();

CREATE FUNCTION checkpoint_latest_stays_durable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM job j JOIN checkpoint c ON c.id = j.latest_checkpoint_id WHERE c.id = NEW.id AND c.state <> 'DURABLE';
  IF FOUND THEN
    RAISE EXCEPTION 'checkpoint % is the latest of its job and would not be DURABLE', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoint_latest_stays_durable';
  END IF;
  RETURN NULL;
END $$;
-- Deferred: a checkpoint is marked corrupt and the job falls back in one transaction.
CREATE CONSTRAINT TRIGGER checkpoint_latest_stays_durable AFTER UPDATE OF state ON checkpoint
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state <> 'DURABLE')
  EXECUTE FUNCTION checkpoint_latest_stays_durable();
