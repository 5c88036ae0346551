-- Rows go mostly into hours that have no sums anyway: then holding their rows of rollup_hours is all
-- there is to do. Who calls this has the rights and the search path that it needs.
CREATE OR REPLACE FUNCTION tars_undo_hours(hours text[]) RETURNS void LANGUAGE plpgsql AS $fn$
BEGIN
    IF hours IS NULL OR cardinality(hours) = (SELECT count(*) FILTER (WHERE state = 0) FROM
        (SELECT state FROM rollup_hours WHERE hour = ANY (hours) ORDER BY hour FOR SHARE) AS held) THEN
        RETURN;
    END IF;
    INSERT INTO rollup_hours (hour)
        SELECT h FROM unnest(hours) AS h
        WHERE NOT EXISTS (SELECT FROM rollup_hours r WHERE r.hour = h) ORDER BY h
        ON CONFLICT (hour) DO UPDATE SET state = 0;
    UPDATE rollup_hours SET state = 0 WHERE hour = ANY (hours) AND state > 0;
END
$fn$;
