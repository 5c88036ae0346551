-- Which process goes by a name: a data folder that was copied has the name of the one it was copied
-- from. Whoever comes later has the row, and the other writes no more.
ALTER TABLE tars.instances ADD COLUMN token text COLLATE "C" NOT NULL DEFAULT '';
