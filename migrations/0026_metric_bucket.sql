-- Curves of millions of points: what each stretch of 1,024 steps comes to, so that neither a plot nor a listing has to
-- read every point; and points that come in by COPY, which two foreign keys made four times as slow.

CREATE TABLE metric_bucket (
  job_id bigint NOT NULL REFERENCES job,
  metric text NOT NULL,
  bucket bigint NOT NULL CHECK (bucket >= 0),
  points integer NOT NULL,
  first_step bigint NOT NULL,
  last_step bigint NOT NULL,
  low double precision,
  high double precision,
  not_numbers integer NOT NULL,
  last_attempt integer NOT NULL,
  PRIMARY KEY (job_id, metric, bucket),
  CHECK (points > 0 AND not_numbers BETWEEN 0 AND points),
  CHECK (first_step <= last_step AND first_step / 1024 = bucket AND last_step / 1024 = bucket),
  CHECK ((low IS NULL) = (not_numbers = points) AND (high IS NULL) = (low IS NULL) AND low <= high)
);
COMMENT ON TABLE metric_bucket IS 'The points of 1,024 steps in short; written in the transaction that changes the points.';
COMMENT ON COLUMN metric_bucket.low IS 'The smallest value that is a finite number; NULL where there is none.';
COMMENT ON COLUMN metric_bucket.last_attempt IS 'The greatest number of an attempt that computed a point of it.';

INSERT INTO metric_bucket (
  job_id, metric, bucket, points, first_step, last_step, low, high, not_numbers, last_attempt)
SELECT job_id, metric, step / 1024, count(*), min(step), max(step),
  min(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity'),
  max(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity'),
  count(*) FILTER (WHERE NOT (value > '-Infinity' AND value < 'Infinity')), max(attempt_number)
FROM metric_point GROUP BY job_id, metric, step / 1024;

-- The same promise as the foreign keys made, looked at once a statement instead of once a row. Attempts are never removed.
ALTER TABLE metric_point
  DROP CONSTRAINT metric_point_job_id_fkey, DROP CONSTRAINT metric_point_job_id_attempt_number_fkey;

CREATE FUNCTION metric_point_has_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  stray record;
BEGIN
  SELECT p.job_id, p.attempt_number INTO stray
  FROM (SELECT DISTINCT n.job_id, n.attempt_number FROM added n) p
  WHERE NOT EXISTS (SELECT 1 FROM attempt a WHERE a.job_id = p.job_id AND a.number = p.attempt_number)
  LIMIT 1;
  IF FOUND THEN
    RAISE foreign_key_violation USING
      MESSAGE = format('job %s has no attempt %s that could have computed a point', stray.job_id, stray.attempt_number);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER metric_point_has_attempt AFTER INSERT ON metric_point
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION metric_point_has_attempt();
