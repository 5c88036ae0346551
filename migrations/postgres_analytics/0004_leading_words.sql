-- The leading words of each span and tenant are numbered, from 1 to 64 at most: the commonest words of
-- a long time are found among them (see LEADING_WORDS).
ALTER TABLE rollup_words ADD COLUMN place INTEGER;
UPDATE rollup_words AS w SET place = r.place FROM
    (SELECT span, tenant, word,
            row_number() OVER (PARTITION BY span, tenant ORDER BY total DESC, word) AS place
     FROM rollup_words) AS r
    WHERE r.place <= 64 AND w.span = r.span AND w.tenant = r.tenant AND w.word = r.word;
CREATE INDEX idx_rollup_leading_words ON rollup_words (span, tenant) WHERE place IS NOT NULL;
-- Words may be longer than an index can hold.
DROP INDEX idx_rollup_words;
CREATE INDEX idx_rollup_words ON rollup_words (span, tenant, left(word, 64));
