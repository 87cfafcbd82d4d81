-- Data sets that are read where they are, that are packed, and of which it is known what they were made from.

ALTER TABLE dataset_version
  ADD COLUMN origin text CHECK (origin <> ''),
  ADD COLUMN added_by text,
  ADD COLUMN made_from_id bigint REFERENCES dataset_version,
  ADD COLUMN files_new integer CHECK (files_new >= 0),
  ADD COLUMN files_changed integer CHECK (files_changed >= 0),
  ADD COLUMN files_gone integer CHECK (files_gone >= 0),
  ADD COLUMN pack_key text CHECK (pack_key <> ''),
  ADD COLUMN pack_shards integer CHECK (pack_shards >= 0),
  ADD COLUMN pack_bytes bigint CHECK (pack_bytes >= 0),
  ADD COLUMN packed_by text,
  ADD COLUMN packed_at timestamptz,
  ADD CHECK ((pack_key IS NULL) = (packed_at IS NULL) AND (pack_key IS NULL) = (pack_shards IS NULL)
    AND (pack_key IS NULL) = (pack_bytes IS NULL) AND (pack_key IS NULL) = (packed_by IS NULL)),
  ADD CHECK ((made_from_id IS NULL) = (files_new IS NULL) AND (files_new IS NULL) = (files_changed IS NULL)
    AND (files_new IS NULL) = (files_gone IS NULL));
COMMENT ON TABLE dataset_version IS 'One content of a data set; never changed once it is here, but for being packed once.';
COMMENT ON COLUMN dataset_version.origin IS
  'Where its objects are read in place, as in s3://bucket/prefix/; NULL where they are blobs in Baton''s own store.';
COMMENT ON COLUMN dataset_version.made_from_id IS 'The newest version when it was added; what differs from it is in files_*.';
COMMENT ON COLUMN dataset_version.pack_key IS 'Key of its pack in Baton''s own store: the same content as tar shards.';

-- What was known of them is in the audit log.
UPDATE dataset_version v SET added_by = e.actor
FROM event e WHERE e.subject_kind = 'dataset' AND e.subject_id = v.id AND e.action = 'dataset.add';

CREATE TABLE lease_dataset (
  lease_id bigint NOT NULL REFERENCES lease,
  dataset_version_id bigint NOT NULL REFERENCES dataset_version,
  wanted_by text NOT NULL,
  wanted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (lease_id, dataset_version_id)
);
COMMENT ON TABLE lease_dataset IS
  'What somebody asked to have on all nodes of a lease: it is not evicted there to make room for anything else.';
CREATE INDEX lease_dataset_version ON lease_dataset (dataset_version_id);

CREATE INDEX dataset_version_content ON dataset_version (content_id);
