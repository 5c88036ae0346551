-- Tokens that an account was given before this moment are void: its secret was changed, or it was
-- disabled.

ALTER TABLE accounts ADD COLUMN tokens_from_us INTEGER NOT NULL DEFAULT 0;
