-- What people say about runs.

CREATE TABLE run_tag (
  job_id bigint NOT NULL REFERENCES job,
  tag text NOT NULL CHECK (tag <> ''),
  added_by text NOT NULL CHECK (added_by <> ''),
  added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (job_id, tag)
);
COMMENT ON TABLE run_tag IS 'Words that a run is found by: those of its job file, and those that people add.';
CREATE INDEX run_tag_tag ON run_tag (tag, job_id DESC);

-- Job files had words before: those of runs that are here already count too.
INSERT INTO run_tag (job_id, tag, added_by)
SELECT DISTINCT j.id, t.tag, 'user:' || u.name
FROM job j JOIN app_user u ON u.id = j.user_id
CROSS JOIN LATERAL jsonb_array_elements_text(
  CASE jsonb_typeof(j.spec -> 'tags') WHEN 'array' THEN j.spec -> 'tags' ELSE '[]' END) AS t (tag)
WHERE t.tag <> '';

CREATE TABLE run_note (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id bigint NOT NULL REFERENCES job,
  author text NOT NULL CHECK (author <> ''),
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  body text NOT NULL CHECK (body <> '')
);
COMMENT ON TABLE run_note IS 'What people wrote about a run; never changed.';
CREATE INDEX run_note_job ON run_note (job_id, id);

CREATE FUNCTION run_note_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'notes are append-only: write another'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'run_note_is_append_only';
END $$;
CREATE TRIGGER run_note_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON run_note
  FOR EACH STATEMENT EXECUTE FUNCTION run_note_is_append_only();
