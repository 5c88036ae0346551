-- What of its settings a server says to those who share the store, since documents depend on them;
-- '': nothing, as of a program of before this.
ALTER TABLE tars.instances ADD COLUMN settings text COLLATE "C" NOT NULL DEFAULT '';
