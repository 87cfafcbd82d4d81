-- Executions of jobs on nodes. A GPU belongs to one live attempt, a job has one, and none outlives its lease.

CREATE TABLE attempt (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id bigint NOT NULL REFERENCES job,
  number integer NOT NULL CHECK (number >= 1),
  lease_id bigint NOT NULL REFERENCES lease,
  state text NOT NULL DEFAULT 'STAGING' CHECK (state IN ('STAGING', 'LAUNCHING', 'RUNNING', 'CHECKPOINTING', 'ENDED')),
  outcome text CHECK (outcome IN (
    'COMPLETED', 'FAILED', 'SAVED', 'ELSEWHERE', 'LEASE_ENDED', 'CANCELLED', 'TIMEOUT', 'STAGING_FAILED',
    'LAUNCH_FAILED', 'LOST')),
  exit_code integer,
  reason_detail text,
  controller_epoch bigint NOT NULL CHECK (controller_epoch >= 1),
  resume_checkpoint_id bigint,
  master_port integer CHECK (master_port BETWEEN 1 AND 65535),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  launched_at timestamptz,
  running_at timestamptz,
  first_step_at timestamptz,
  checkpointing_at timestamptz,
  ended_at timestamptz,
  UNIQUE (job_id, number),
  CONSTRAINT attempt_outcome CHECK ((state = 'ENDED') = (outcome IS NOT NULL)),
  CONSTRAINT attempt_ended CHECK ((state = 'ENDED') = (ended_at IS NOT NULL)),
  CONSTRAINT attempt_exit_code CHECK (exit_code IS NULL OR state = 'ENDED'),
  CONSTRAINT attempt_launched CHECK (state NOT IN ('LAUNCHING', 'RUNNING', 'CHECKPOINTING') OR launched_at IS NOT NULL),
  CONSTRAINT attempt_running CHECK (state <> 'RUNNING' OR running_at IS NOT NULL)
);
COMMENT ON TABLE attempt IS 'One execution of a job inside one lease; its number is the epoch that fences what it writes.';
CREATE UNIQUE INDEX attempt_one_live ON attempt (job_id) WHERE state <> 'ENDED';
CREATE INDEX attempt_live_lease ON attempt (lease_id) WHERE state <> 'ENDED';
CREATE INDEX attempt_lease ON attempt (lease_id);

CREATE TABLE attempt_node (
  attempt_id bigint NOT NULL REFERENCES attempt,
  node_id bigint NOT NULL REFERENCES node,
  node_rank integer NOT NULL CHECK (node_rank >= 0),
  whole boolean NOT NULL,
  live boolean NOT NULL DEFAULT true,
  agent_state text,
  journal_seq bigint NOT NULL DEFAULT 0 CHECK (journal_seq >= 0),
  metrics_offset bigint NOT NULL DEFAULT 0 CHECK (metrics_offset >= 0),
  last_contact_at timestamptz,
  PRIMARY KEY (attempt_id, node_id),
  UNIQUE (attempt_id, node_rank)
);
COMMENT ON TABLE attempt_node IS 'A node of an attempt, and how far its journal and its metrics were read.';
COMMENT ON COLUMN attempt_node.whole IS 'The attempt holds the node without naming GPUs of it.';
CREATE UNIQUE INDEX attempt_node_one_whole ON attempt_node (node_id) WHERE live AND whole;
CREATE INDEX attempt_node_node ON attempt_node (node_id);

CREATE TABLE attempt_gpu (
  attempt_id bigint NOT NULL,
  node_id bigint NOT NULL,
  gpu_index integer NOT NULL CHECK (gpu_index >= 0),
  live boolean NOT NULL DEFAULT true,
  PRIMARY KEY (attempt_id, node_id, gpu_index),
  FOREIGN KEY (attempt_id, node_id) REFERENCES attempt_node (attempt_id, node_id)
);
COMMENT ON TABLE attempt_gpu IS 'A GPU of an attempt; live until the attempt ends.';
CREATE UNIQUE INDEX attempt_gpu_one_live ON attempt_gpu (node_id, gpu_index) WHERE live;

CREATE FUNCTION attempt_needs_lease() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  held lease%ROWTYPE;
BEGIN
  SELECT * INTO STRICT held FROM lease WHERE id = NEW.lease_id FOR SHARE;
  IF held.state NOT IN ('ACTIVE', 'ENDING') OR NOT held.period @> clock_timestamp() THEN
    RAISE EXCEPTION 'lease % is % for %: no attempt can begin in it', held.id, held.state, held.period
      USING ERRCODE = 'check_violation', CONSTRAINT = 'attempt_needs_lease';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER attempt_needs_lease BEFORE INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION attempt_needs_lease();

CREATE FUNCTION attempt_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'ENDED' THEN
    RAISE EXCEPTION 'attempt % has ended: nothing about it changes any more', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'attempt_moves_forward';
  END IF;
  IF NEW.job_id <> OLD.job_id OR NEW.number <> OLD.number OR NEW.lease_id <> OLD.lease_id THEN
    RAISE EXCEPTION 'attempt %: job, number and lease never change', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'attempt_moves_forward';
  END IF;
  IF NEW.state = 'ENDED' THEN
    UPDATE attempt_gpu SET live = false WHERE attempt_id = NEW.id AND live;
    UPDATE attempt_node SET live = false WHERE attempt_id = NEW.id AND live;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER attempt_moves_forward BEFORE UPDATE ON attempt
  FOR EACH ROW EXECUTE FUNCTION attempt_moves_forward();

CREATE FUNCTION attempt_node_is_leased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM attempt a JOIN lease_node n ON n.lease_id = a.lease_id
    WHERE a.id = NEW.attempt_id AND n.node_id = NEW.node_id AND n.released_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'node % is not in the lease of attempt %', NEW.node_id, NEW.attempt_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'attempt_node_is_leased';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER attempt_node_is_leased BEFORE INSERT ON attempt_node
  FOR EACH ROW EXECUTE FUNCTION attempt_node_is_leased();

CREATE FUNCTION lease_ends_attempts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM attempt WHERE lease_id = NEW.id AND state <> 'ENDED';
  IF FOUND THEN
    RAISE EXCEPTION 'lease % is over and an attempt of it is not', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'lease_ends_attempts';
  END IF;
  RETURN NULL;
END $$;
-- Deferred: the lease and its attempts end in one transaction, in whatever order.
CREATE CONSTRAINT TRIGGER lease_ends_attempts AFTER UPDATE OF state ON lease DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.state IN ('TERMINATED', 'ERROR')) EXECUTE FUNCTION lease_ends_attempts();
