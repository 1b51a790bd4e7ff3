-- Rate limits that all replicas share.

-- What every replica knows and nobody else should, each made at random by the
-- first that needs it. Kept apart from SECRET_KEY, which need not be set.
CREATE TABLE authstack.secrets (
    name  text  PRIMARY KEY,
    value bytea NOT NULL CHECK (octet_length(value) = 32)
);

-- One row per token bucket, by the generic cell rate algorithm (GCRA, ITU-T
-- I.371): a single time says how full a bucket is. A bucket that is not here
-- is full.
--
-- Unlogged: a login would otherwise wait once more for the disk. After a crash
-- of the database, and on a standby that takes over, the table is empty, so
-- everybody has one burst more. Base backups do not hold it.
CREATE UNLOGGED TABLE authstack.buckets (
    -- HMAC-SHA256 of the limit and whom it is about, cut to 128 bits, under the
    -- secret `limits`. Never a name: people type passwords into name fields.
    key     bytea       PRIMARY KEY CHECK (octet_length(key) = 16),
    -- When it is full again, by this server's clock. Not indexed, and with room
    -- on the page, so that taking a token touches no index (HOT).
    full_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Takes a token from each of these buckets, and gives those that have none, by
-- their place in the arrays (from 1) and the microseconds until they have one.
-- All or nothing: whoever is refused by one bucket takes nothing from another.
-- But quiet buckets are for refusals that must not show: one that is empty
-- keeps the others from nothing, and only quiet ones from being charged.
--
-- `periods` are microseconds per token. Rows are made or locked in the order
-- of their keys, so that two calls never wait for each other; the time is read
-- when all are held.
CREATE FUNCTION authstack.take_tokens(
    keys bytea[], bursts bigint[], periods bigint[], quiet boolean[]
) RETURNS TABLE (place bigint, wait bigint)
-- Planned in a session that began while the table was small, a scan of all of it
-- would stay in use while a flood makes it large.
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    moment      timestamptz;
    open_empty  boolean;
    quiet_empty boolean;
BEGIN
    -- WHERE false changes nothing, but locks the row all the same.
    INSERT INTO authstack.buckets AS b (key, full_at)
    SELECT k, now() FROM unnest(keys) AS k ORDER BY k
    ON CONFLICT ON CONSTRAINT buckets_pkey DO UPDATE SET full_at = b.full_at WHERE false;

    moment := clock_timestamp();

    SELECT coalesce(bool_or(NOT w.quiet), false), coalesce(bool_or(w.quiet), false)
    INTO open_empty, quiet_empty
    FROM unnest(keys, bursts, periods, quiet) AS w (key, burst, period, quiet)
    JOIN authstack.buckets b ON b.key = w.key
    WHERE b.full_at - (w.burst - 1) * w.period * interval '1 microsecond' > moment;

    IF open_empty OR quiet_empty THEN
        RETURN QUERY
        SELECT w.place, ceil(1000000 * extract(epoch FROM
            b.full_at - (w.burst - 1) * w.period * interval '1 microsecond' - moment))::bigint
        FROM unnest(keys, bursts, periods) WITH ORDINALITY AS w (key, burst, period, place)
        JOIN authstack.buckets b ON b.key = w.key
        WHERE b.full_at - (w.burst - 1) * w.period * interval '1 microsecond' > moment;
    END IF;

    IF NOT open_empty THEN
        UPDATE authstack.buckets b
        SET full_at = greatest(b.full_at, moment) + w.period * interval '1 microsecond'
        FROM unnest(keys, periods, quiet) AS w (key, period, quiet)
        WHERE b.key = w.key AND NOT (w.quiet AND quiet_empty);
    END IF;
END
$$;

-- When a session was over: for the removal of those that were long ago.
CREATE INDEX sessions_over_at ON authstack.sessions (least(expires_at, revoked_at));
