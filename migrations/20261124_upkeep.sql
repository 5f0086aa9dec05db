-- Migration: 005_upkeep
-- Description: upkeep of partitions by a login without rights of its own, and under shorter locks

-- The functions run with the rights of the tables' owner, and may be called by urlmon_service.
-- None waits longer than 50 ms for a lock while others can queue behind it.

CREATE OR REPLACE FUNCTION check_result_partitions()
    RETURNS TABLE (partition regclass, from_at timestamptz, to_at timestamptz)
    LANGUAGE sql STABLE
    SET timezone = 'UTC' SET datestyle = 'ISO'
AS $check_result_partitions$
    SELECT c.oid::regclass, bounds[1]::timestamptz, bounds[2]::timestamptz
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    CROSS JOIN regexp_match(
        pg_get_expr(c.relpartbound, c.oid),
        $pattern$^FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)$$pattern$
    ) AS bounds
    WHERE i.inhparent = 'check_results'::regclass AND NOT i.inhdetachpending AND bounds IS NOT NULL
$check_result_partitions$;

-- The default partition; no row where it was taken off.
CREATE FUNCTION default_partition() RETURNS regclass
    LANGUAGE sql STABLE
AS $default_partition$
    SELECT nullif(partdefid, 0)::regclass
    FROM pg_partitioned_table WHERE partrelid = 'check_results'::regclass
$default_partition$;

-- The UTC months that the default partition holds rows of, by their first day; instants that can have
-- no month are in it too, such as infinity.
CREATE FUNCTION months_in_default() RETURNS SETOF date
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET timezone = 'UTC'
AS $months_in_default$
DECLARE
    -- One look into the primary key a month, however many rows there are.
    next_row CONSTANT text := format(
        'SELECT min(scheduled_at) FROM %s WHERE scheduled_at >= $1', default_partition()
    );
    found_at timestamptz := '-infinity';
BEGIN
    WHILE next_row IS NOT NULL LOOP
        EXECUTE next_row INTO found_at USING found_at;
        EXIT WHEN found_at IS NULL;
        RETURN NEXT date_trunc('month', found_at)::date;
        EXIT WHEN found_at >= '9999-01-01';
        found_at := greatest(date_trunc('month', found_at) + interval '1 month', '1970-01-01');
    END LOOP;
END
$months_in_default$;

-- The months to make, by their first day: this one, the three to come, and those of rows in the default
-- partition.
CREATE FUNCTION missing_months() RETURNS SETOF date
    LANGUAGE sql STABLE
    SET timezone = 'UTC'
AS $missing_months$
    SELECT month FROM (
        SELECT (date_trunc('month', clock_timestamp()) + make_interval(months => ahead))::date
        FROM generate_series(0, 3) AS ahead
        UNION
        SELECT stray FROM months_in_default() AS stray
        WHERE stray >= '1970-01-01' AND stray < '9999-01-01'
    ) AS wanted (month)
    WHERE NOT EXISTS (
        SELECT FROM check_result_partitions() WHERE from_at <= month AND to_at > month
    )
    ORDER BY month
$missing_months$;

-- Makes the table of a month, which is not attached yet, and moves into it what the default partition
-- holds of it.  Returns its name.
CREATE FUNCTION prepare_partition(month date) RETURNS text
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO'
AS $prepare_partition$
DECLARE
    from_at CONSTANT timestamptz := month;
    to_at CONSTANT timestamptz := from_at + interval '1 month';
    name text := 'check_results_' || to_char(from_at, 'YYYY_MM');
BEGIN
    WHILE to_regclass(name) IS NOT NULL LOOP -- a month that was detached, to be kept elsewhere
        name := name || '_';
    END LOOP;
    -- With its indexes and the check it is attached without being read.
    EXECUTE format(
        'CREATE TABLE %I (LIKE check_results INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES'
        ' INCLUDING STORAGE INCLUDING COMPRESSION,'
        ' CONSTRAINT month_check CHECK (scheduled_at >= %L AND scheduled_at < %L))',
        name, from_at, to_at
    );
    PERFORM protect_tenant_rows(name::regclass);
    IF default_partition() IS NOT NULL THEN
        -- Nothing may reach it between the move and the attachment; readers still may.
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', default_partition());
        EXECUTE format(
            'WITH moved AS ('
            ' DELETE FROM %s WHERE scheduled_at >= $1 AND scheduled_at < $2 RETURNING *'
            ') INSERT INTO %I SELECT * FROM moved',
            default_partition(), name
        ) USING from_at, to_at;
    END IF;
    RETURN name;
END
$prepare_partition$;

-- Makes the partition of the UTC month that a day falls in; without an argument, those that are
-- missing.  Returns the names of the partitions made.
CREATE OR REPLACE FUNCTION create_monthly_partition(day date DEFAULT NULL) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET timezone = 'UTC' SET datestyle = 'ISO' SET lock_timeout = '50ms'
AS $create_monthly_partition$
DECLARE
    wanted CONSTANT date[] := ARRAY(
        SELECT missing_months() WHERE day IS NULL
        UNION ALL SELECT date_trunc('month', day)::date WHERE day IS NOT NULL
    );
    month date;
    made text[];
    months date[];
BEGIN
    IF day < '1970-01-01' OR day >= '9999-01-01' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'day must be of the years 1970 to 9998';
    END IF;
    FOR attempt IN 1..20 LOOP
        BEGIN
            made := '{}';
            months := '{}';
            FOREACH month IN ARRAY wanted LOOP
                CONTINUE WHEN EXISTS (
                    SELECT FROM check_result_partitions() WHERE from_at <= month AND to_at > month
                );
                LOCK TABLE ONLY check_results IN SHARE UPDATE EXCLUSIVE MODE;
                CONTINUE WHEN EXISTS ( -- someone made it while we waited
                    SELECT FROM check_result_partitions() WHERE from_at <= month AND to_at > month
                );
                made := made || prepare_partition(month);
                months := months || month;
            END LOOP;
            -- From the first attachment on nobody can read the default partition: no work is left.
            FOR place IN 1..cardinality(made) LOOP
                EXECUTE format(
                    'ALTER TABLE check_results ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    made[place],
                    months[place]::timestamptz,
                    months[place]::timestamptz + interval '1 month'
                );
                EXECUTE format('ALTER TABLE %I DROP CONSTRAINT month_check', made[place]);
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

-- The partitions whose whole range is older than `keep`, but for the newest of all; oldest first.
CREATE FUNCTION expired_partitions(keep interval) RETURNS SETOF regclass
    LANGUAGE sql STABLE
AS $expired_partitions$
    SELECT partition FROM check_result_partitions()
    WHERE to_at <= clock_timestamp() - keep
        AND from_at < (SELECT max(from_at) FROM check_result_partitions())
    ORDER BY from_at
$expired_partitions$;

-- Drops expired partitions, the twelve oldest at most, and returns their names.  Never drops the
-- newest, the present month's or the default one.  After the clock has leapt forward it drops nothing
-- for a week: a wrong clock is to be noticed before it has emptied the table.
CREATE OR REPLACE FUNCTION drop_old_partitions(keep interval DEFAULT '90 days') RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET timezone = 'UTC' SET lock_timeout = '50ms'
AS $drop_old_partitions$
DECLARE
    called_at CONSTANT timestamptz := clock_timestamp();
    leap CONSTANT interval := '40 days'; -- more than the month between two calls of a monthly job
    trust_from timestamptz;
    expired regclass[];
    held regclass;
    dropped text[];
BEGIN
    -- Not keep < '1 day': that takes each month for 30 days.
    IF (called_at - keep <= called_at - interval '1 day') IS NOT TRUE THEN
        RAISE invalid_parameter_value USING MESSAGE = 'keep must be at least 1 day';
    END IF;
    FOR attempt IN 1..20 LOOP
        BEGIN
            LOCK TABLE ONLY check_results IN SHARE UPDATE EXCLUSIVE MODE;
            INSERT INTO partition_clock AS kept (seen_at, trusted_from) VALUES (called_at, called_at)
            ON CONFLICT (only_row) DO UPDATE SET seen_at = called_at, trusted_from = CASE
                WHEN called_at > kept.seen_at + leap THEN called_at
                WHEN called_at < kept.seen_at - leap THEN '-infinity'
                ELSE kept.trusted_from
            END RETURNING trusted_from INTO trust_from;
            IF called_at < trust_from + interval '7 days' THEN
                RAISE WARNING USING
                    MESSAGE = format('no partition is dropped before %s', trust_from + interval '7 days'),
                    DETAIL = 'The clock leapt forward, or this was not called for more than 40 days.',
                    HINT = 'If the clock is right, there is nothing to do.';
                RETURN;
            END IF;
            expired := ARRAY(SELECT expired_partitions(keep) LIMIT 12);
            IF expired <> '{}' THEN
                LOCK TABLE ONLY check_results IN ACCESS EXCLUSIVE MODE;
                -- Now everybody waits for us, and so we for nobody.
                FOREACH held IN ARRAY array_remove(expired || default_partition(), NULL) LOOP
                    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', held);
                END LOOP;
            END IF;
            dropped := expired::text[];
            FOREACH held IN ARRAY expired LOOP
                EXECUTE format('ALTER TABLE check_results DETACH PARTITION %s', held);
                EXECUTE format('DROP TABLE %s', held);
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

DO $secure$
DECLARE
    upkeep regprocedure;
    home CONSTANT regnamespace := (
        SELECT relnamespace FROM pg_class WHERE oid = 'check_results'::regclass
    );
BEGIN
    FOREACH upkeep IN ARRAY ARRAY[
        'check_result_partitions()', 'default_partition()', 'months_in_default()', 'missing_months()',
        'prepare_partition(date)', 'create_monthly_partition(date)', 'expired_partitions(interval)',
        'drop_old_partitions(interval)'
    ]::regprocedure[] LOOP
        -- Not FROM CURRENT: temporary tables would come first in it, and anyone can make those.
        EXECUTE format('ALTER FUNCTION %s SET search_path TO %s, pg_temp', upkeep, home);
    END LOOP;
END
$secure$;

REVOKE EXECUTE ON FUNCTION
    months_in_default(), missing_months(), prepare_partition(date), create_monthly_partition(date),
    drop_old_partitions(interval)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    months_in_default(), missing_months(), create_monthly_partition(date), drop_old_partitions(interval)
TO urlmon_service;
