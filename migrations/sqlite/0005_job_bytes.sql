-- Bytes of an upload that waits to be taken in; they count among those of its tenant.
ALTER TABLE jobs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
