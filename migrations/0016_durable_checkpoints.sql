-- Which jobs keep more than they should is asked by every sweep, of all jobs that ever were.

CREATE INDEX checkpoint_durable ON checkpoint (job_id) WHERE state = 'DURABLE';
