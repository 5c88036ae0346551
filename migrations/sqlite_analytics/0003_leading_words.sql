-- The leading words of each span and tenant are numbered, from 1 to 64 at most: the commonest words of
-- a long time are found among them (see LEADING_WORDS).
ALTER TABLE rollup_words ADD COLUMN place INTEGER;
UPDATE rollup_words SET place = r.place FROM
    (SELECT span, tenant, word,
            row_number() OVER (PARTITION BY span, tenant ORDER BY total DESC, word) AS place
     FROM rollup_words) AS r
    WHERE r.place <= 64 AND rollup_words.span = r.span AND rollup_words.tenant = r.tenant
        AND rollup_words.word = r.word;
CREATE INDEX idx_rollup_leading_words ON rollup_words (span, tenant, place, word, total)
    WHERE place IS NOT NULL;
