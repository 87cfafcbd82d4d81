-- A probe that was asked before something changed on a node is told of no more.

ALTER TABLE node ADD COLUMN replicas_revision bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN node.replicas_revision IS
  'Grows with each change of what is known of its replicas; what a probe found is written only where it is as it was before the probe.';

CREATE OR REPLACE FUNCTION lease_gives_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state IN ('TERMINATED', 'ERROR') THEN
    UPDATE lease_node SET period = NEW.period, released_at = clock_timestamp()
      WHERE lease_id = NEW.id AND released_at IS NULL;
    -- A node's disk goes with its lease, and the data sets on it go with the disk. Nodes are locked in this order everywhere.
    IF lower(NEW.period) <= clock_timestamp() THEN
      PERFORM 1 FROM node n WHERE n.id IN (SELECT node_id FROM lease_node WHERE lease_id = NEW.id)
        ORDER BY n.id FOR UPDATE;
      UPDATE node SET replicas_revision = replicas_revision + 1
        WHERE id IN (SELECT node_id FROM lease_node WHERE lease_id = NEW.id);
      DELETE FROM replica r USING lease_node n WHERE n.lease_id = NEW.id AND r.node_id = n.node_id;
    END IF;
  ELSE
    UPDATE lease_node SET period = NEW.period WHERE lease_id = NEW.id AND period <> NEW.period;
  END IF;
  RETURN NULL;
END $$;
