-- Migration: 002_check_result_partitions
-- Description: monthly partitions of check results, made ahead and dropped when old

-- Whoever waits for a lock on check_results makes all later readers and writers wait behind it: the
-- functions below wait 50 ms at most, let go of everything, and try again, for about three seconds.
-- Then they fail with SQLSTATE 55P03, have changed nothing, and can be called again.

-- Bounds are read from the catalogue, as instants: no name, TimeZone or DateStyle decides anything.
-- The default partition, which has no bounds, is left out.
CREATE FUNCTION check_result_partitions()
    RETURNS TABLE (partition regclass, from_at timestamptz, to_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path FROM CURRENT SET timezone = 'UTC'
AS $check_result_partitions$
    SELECT c.oid::regclass, bounds[1]::timestamptz, bounds[2]::timestamptz
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    CROSS JOIN regexp_match(
        pg_get_expr(c.relpartbound, c.oid),
        $pattern$^FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)$$pattern$
    ) AS bounds
    WHERE i.inhparent = 'check_results'::regclass AND bounds IS NOT NULL
$check_result_partitions$;

-- Makes the partition of the UTC month that a day falls in; without an argument, those of this month
-- and the three to come.  Moves into it what the default partition kept for it.  Returns the names
-- of the partitions made.
CREATE FUNCTION create_monthly_partition(day date DEFAULT NULL) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path FROM CURRENT SET timezone = 'UTC' SET lock_timeout = '50ms'
AS $create_monthly_partition$
DECLARE
    first_at CONSTANT timestamptz := date_trunc('month', coalesce(day::timestamptz, clock_timestamp()));
    last_at CONSTANT timestamptz :=
        first_at + make_interval(months => CASE WHEN day IS NULL THEN 3 ELSE 0 END);
    from_month timestamptz;
    to_month timestamptz;
    schema_name regnamespace;
    default_partition regclass;
    name text;
    made text[];
BEGIN
    SELECT c.relnamespace, nullif(p.partdefid, 0) INTO schema_name, default_partition
    FROM pg_class AS c JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
    WHERE c.oid = 'check_results'::regclass;
    FOR attempt IN 1..20 LOOP
        BEGIN
            made := '{}';
            FOR from_month IN SELECT generate_series(first_at, last_at, '1 month') LOOP
                to_month := from_month + interval '1 month';
                CONTINUE WHEN EXISTS (
                    SELECT FROM check_result_partitions() WHERE from_at <= from_month AND to_at >= to_month
                );
                LOCK TABLE ONLY check_results IN SHARE UPDATE EXCLUSIVE MODE;
                CONTINUE WHEN EXISTS ( -- someone made it while we waited
                    SELECT FROM check_result_partitions() WHERE from_at <= from_month AND to_at >= to_month
                );
                name := format('%s.%I', schema_name, to_char(from_month, '"check_results_"YYYY_MM'));
                -- Attaching locks check_results far less than CREATE TABLE ... PARTITION OF would.
                EXECUTE format(
                    'CREATE TABLE %s (LIKE check_results'
                    ' INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION)',
                    name
                );
                IF default_partition IS NOT NULL THEN
                    -- Nothing may reach it between the move and the attachment.
                    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', default_partition);
                    EXECUTE format(
                        'WITH moved AS ('
                        ' DELETE FROM %s WHERE scheduled_at >= $1 AND scheduled_at < $2 RETURNING *'
                        ') INSERT INTO %s SELECT * FROM moved',
                        default_partition, name
                    ) USING from_month, to_month;
                END IF;
                EXECUTE format(
                    'ALTER TABLE check_results ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                    name, from_month, to_month
                );
                made := made || name::regclass::text;
            END LOOP;
            RETURN QUERY SELECT unnest(made);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.05 + 0.2 * random());
        END;
    END LOOP;
    RAISE lock_not_available USING
        MESSAGE = 'check_results and its default partition stayed locked: no partition was made',
        HINT = 'Call it again; pg_locks tells who holds them.';
END
$create_monthly_partition$;

-- What upkeep last read from the clock, and since when it believes it.
CREATE TABLE partition_clock (
    only_row boolean NOT NULL DEFAULT true,
    seen_at timestamptz NOT NULL,
    trusted_from timestamptz NOT NULL,
    CONSTRAINT partition_clock_pkey PRIMARY KEY (only_row),
    CONSTRAINT partition_clock_only_row_check CHECK (only_row)
);
INSERT INTO partition_clock (seen_at, trusted_from) VALUES (now(), '-infinity');

-- Drops the partitions whose whole range is older than `keep`, but never the newest, the present
-- month's or the default one.  Returns their names.  After the clock has leapt forward it drops
-- nothing for a week: a wrong clock is to be noticed before it has emptied the table.
CREATE FUNCTION drop_old_partitions(keep interval DEFAULT '90 days') RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path FROM CURRENT SET timezone = 'UTC' SET lock_timeout = '50ms'
AS $drop_old_partitions$
DECLARE
    called_at CONSTANT timestamptz := clock_timestamp();
    leap CONSTANT interval := '40 days'; -- more than the month between two calls of a monthly job
    trust_from timestamptz;
    old regclass;
    dropped text[];
BEGIN
    IF keep IS NULL OR keep < interval '1 day' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'keep must be at least 1 day';
    END IF;
    FOR attempt IN 1..20 LOOP
        BEGIN
            dropped := '{}';
            LOCK TABLE ONLY check_results IN SHARE UPDATE EXCLUSIVE MODE;
            UPDATE partition_clock SET seen_at = called_at, trusted_from = CASE
                WHEN called_at > seen_at + leap THEN called_at
                WHEN called_at < seen_at - leap THEN '-infinity'
                ELSE trusted_from
            END RETURNING trusted_from INTO trust_from;
            IF called_at < trust_from + interval '7 days' THEN
                RAISE WARNING USING
                    MESSAGE = format('no partition is dropped before %s', trust_from + interval '7 days'),
                    DETAIL = 'The clock leapt forward, or this was not called for more than 40 days.',
                    HINT = 'If the clock is right, there is nothing to do.';
                RETURN;
            END IF;
            FOREACH old IN ARRAY ARRAY(
                SELECT p.partition FROM check_result_partitions() AS p
                WHERE p.to_at <= called_at - keep
                    AND p.from_at < (SELECT max(from_at) FROM check_result_partitions())
                ORDER BY p.from_at
            ) LOOP
                dropped := dropped || old::text;
                EXECUTE format('ALTER TABLE check_results DETACH PARTITION %s', old);
                EXECUTE format('DROP TABLE %s', old);
            END LOOP;
            RETURN QUERY SELECT unnest(dropped);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.05 + 0.2 * random());
        END;
    END LOOP;
    RAISE lock_not_available USING
        MESSAGE = 'check_results or an old partition stayed locked: none was dropped',
        HINT = 'Call it again; pg_locks tells who holds them.';
END
$drop_old_partitions$;

SELECT create_monthly_partition();
