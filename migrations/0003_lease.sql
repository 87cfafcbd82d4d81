-- Nodes for a while. No node is in two leases at the same moment: the exclusion constraint has the last word.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE lease (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  project_id bigint NOT NULL REFERENCES project,
  state text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'ACTIVE', 'ENDING', 'TERMINATED', 'ERROR')),
  degraded boolean NOT NULL DEFAULT false,
  period tstzrange NOT NULL CHECK (
    NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period) AND lower_inc(period)
    AND NOT upper_inc(period) AND isfinite(lower(period)) AND isfinite(upper(period))),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  terminated_at timestamptz,
  CHECK ((state IN ('TERMINATED', 'ERROR')) = (terminated_at IS NOT NULL))
);
COMMENT ON TABLE lease IS 'A set of nodes for a project, from the lower end of period up to, not including, its upper end.';
COMMENT ON COLUMN lease.degraded IS 'A node of it is not what was promised.';
CREATE UNIQUE INDEX lease_name ON lease (project_id, name) WHERE state NOT IN ('TERMINATED', 'ERROR');
CREATE INDEX lease_open ON lease (upper(period)) WHERE state NOT IN ('TERMINATED', 'ERROR');

CREATE TABLE lease_node (
  lease_id bigint NOT NULL REFERENCES lease,
  node_id bigint NOT NULL REFERENCES node,
  period tstzrange NOT NULL,
  released_at timestamptz,
  PRIMARY KEY (lease_id, node_id),
  CONSTRAINT lease_node_no_overlap EXCLUDE USING gist (node_id WITH =, period WITH &&) WHERE (released_at IS NULL)
);
COMMENT ON TABLE lease_node IS 'A node of a lease; period equals the lease''s, and triggers keep it so.';
CREATE INDEX lease_node_node ON lease_node (node_id);

CREATE FUNCTION lease_node_takes_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT l.period INTO STRICT NEW.period FROM lease l WHERE l.id = NEW.lease_id;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_node_takes_period BEFORE INSERT ON lease_node
  FOR EACH ROW EXECUTE FUNCTION lease_node_takes_period();

CREATE FUNCTION lease_gives_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state IN ('TERMINATED', 'ERROR') THEN
    UPDATE lease_node SET period = NEW.period, released_at = clock_timestamp()
      WHERE lease_id = NEW.id AND released_at IS NULL;
    -- A node's disk goes with its lease, and the data sets on it go with the disk.
    DELETE FROM replica r USING lease_node n WHERE n.lease_id = NEW.id AND r.node_id = n.node_id
      AND lower(NEW.period) <= clock_timestamp();
  ELSE
    UPDATE lease_node SET period = NEW.period WHERE lease_id = NEW.id AND period <> NEW.period;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER lease_gives_period AFTER UPDATE OF period, state ON lease
  FOR EACH ROW EXECUTE FUNCTION lease_gives_period();
