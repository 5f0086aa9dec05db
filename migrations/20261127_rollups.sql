-- Migration: 006_rollups
-- Description: sums of check results by hours, days and weeks

-- What the results of a monitor and location in a span of time amount to.  Spans are 1, 6,
-- 24, 168 (from Monday) or 672 hours long, and begin at multiples of that in UTC.
--   Hours   are kept by whoever stores results, in the same transaction.
--   Longer spans   are made from shorter ones when they are over, by the upkeep.  Until then, and again
--           when a late result is stored, they are marked as stale, in the same transaction as that:
--           readers take their hours instead.  They have a row for all locations together, whose
--           location is empty, and days and weeks also one for each.
CREATE TABLE check_rollups (
    tenant_id uuid NOT NULL,
    hours smallint NOT NULL,
    monitor_id uuid NOT NULL,
    start_at timestamptz NOT NULL,
    location text COLLATE "C" NOT NULL,
    stale boolean NOT NULL DEFAULT false,
    checks bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    -- For coverage (urlmon.domain.statistics.made), of longer spans of all locations together.
    made bigint NOT NULL DEFAULT 0,
    -- Of the response times of successful checks.
    times bigint NOT NULL DEFAULT 0,
    total_us bigint NOT NULL DEFAULT 0,
    min_us bigint,
    max_us bigint,
    -- Of the phases of successful checks: how many have each, and their sums.
    dns_times bigint NOT NULL DEFAULT 0,
    dns_total_us bigint NOT NULL DEFAULT 0,
    connect_times bigint NOT NULL DEFAULT 0,
    connect_total_us bigint NOT NULL DEFAULT 0,
    tls_times bigint NOT NULL DEFAULT 0,
    tls_total_us bigint NOT NULL DEFAULT 0,
    ttfb_times bigint NOT NULL DEFAULT 0,
    ttfb_total_us bigint NOT NULL DEFAULT 0,
    transfer_times bigint NOT NULL DEFAULT 0,
    transfer_total_us bigint NOT NULL DEFAULT 0,
    -- How many response times lie in which range (urlmon.domain.sketches).
    --   Hours   have the number of the range of each response time, in two bytes: two sketches are added
    --           by putting one behind the other.
    --   Longer spans   have the number of the lowest range, in two bytes, and then how many lie in each
    --           range from the highest down to that one, in four bytes each.
    -- In all of these the highest byte comes first.
    sketch bytea NOT NULL DEFAULT '',
    CONSTRAINT check_rollups_pkey PRIMARY KEY (tenant_id, hours, monitor_id, start_at, location),
    CONSTRAINT check_rollups_hours_check CHECK (hours IN (1, 6, 24, 168, 672)),
    CONSTRAINT check_rollups_counts_check
        CHECK (failures BETWEEN 0 AND checks AND times BETWEEN 0 AND checks - failures),
    CONSTRAINT check_rollups_sketch_check CHECK (
        CASE WHEN hours = 1 THEN octet_length(sketch) = 2 * times
        ELSE octet_length(sketch) = 0 OR octet_length(sketch) % 4 = 2 END
    )
) WITH (fillfactor = 70); -- an hour is updated by each batch that it has results in
CREATE INDEX idx_check_rollups_start ON check_rollups USING brin (start_at);
CREATE INDEX idx_check_rollups_stale
    ON check_rollups (hours, start_at, tenant_id, monitor_id, location) WHERE stale;

-- Which spans of each length there are rows of: those from `made_from` to `made_until`.  Those up to
-- `opened_until` are being made, and readers still take shorter ones instead.  Whoever stores results
-- marks as stale what begins before `closed_until`.
CREATE TABLE check_rollup_spans (
    hours smallint NOT NULL,
    by_location boolean NOT NULL,
    made_from timestamptz NOT NULL,
    made_until timestamptz NOT NULL,
    opened_until timestamptz NOT NULL,
    closed_until timestamptz NOT NULL,
    CONSTRAINT check_rollup_spans_pkey PRIMARY KEY (hours),
    CONSTRAINT check_rollup_spans_check CHECK (
        made_from <= made_until AND made_until <= opened_until AND opened_until <= closed_until
    )
);

-- The range of a response time, by its number, as urlmon.domain.sketches has it: from where it begins,
-- each range is as wide as one value can stand for all of it within 1 %.
DO $ranges$
DECLARE
    starts bigint[] := '{}';
    start bigint := 0;
BEGIN
    WHILE start <= 3600000000 LOOP
        starts := starts || start;
        start := (start * 101 / 100) * 100 / 99 + 1;
    END LOOP;
    EXECUTE format(
        'CREATE FUNCTION sketch_range(us bigint) RETURNS smallint'
        ' LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE'
        ' AS $sketch_range$SELECT width_bucket(us, %L::bigint[])::smallint$sketch_range$',
        starts
    );
END
$ranges$;

-- The sketch of a longer span, of those of its parts, which are so many hours long.
CREATE FUNCTION add_sketches(hours smallint, sketches bytea[]) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $add_sketches$
    WITH counted AS (
        SELECT range, sum(count)::integer AS count
        FROM unnest(sketches) AS part (sketch) CROSS JOIN LATERAL (
            SELECT get_byte(sketch, at) * 256 + get_byte(sketch, at + 1), 1
            FROM generate_series(0, octet_length(sketch) - 2, 2) AS at
            WHERE hours = 1
            UNION ALL
            SELECT
                get_byte(sketch, 0) * 256 + get_byte(sketch, 1) + (octet_length(sketch) - at) / 4 - 1,
                get_byte(sketch, at)::bigint * 16777216 + get_byte(sketch, at + 1) * 65536
                    + get_byte(sketch, at + 2) * 256 + get_byte(sketch, at + 3)
            FROM generate_series(2, octet_length(sketch) - 4, 4) AS at
            WHERE hours > 1
        ) AS pairs (range, count)
        GROUP BY range
    ), ends AS (SELECT min(range) AS lowest, max(range) AS highest FROM counted)
    SELECT coalesce(
        int2send(min(lowest)::smallint)
            || string_agg(int4send(coalesce(count, 0)), '' ORDER BY lane DESC),
        ''
    )
    FROM ends CROSS JOIN LATERAL generate_series(lowest, highest) AS lane
    LEFT JOIN counted ON range = lane
$add_sketches$;

-- What the results due from `since` to `until` amount to, by hours.
CREATE FUNCTION hours_of_results(since timestamptz, until timestamptz) RETURNS SETOF check_rollups
    LANGUAGE sql STABLE
AS $hours_of_results$
    SELECT tenant_id, 1::smallint, monitor_id, date_bin('1 hour', scheduled_at, '1970-01-05 00:00Z'),
        location, false, count(*), count(*) FILTER (WHERE NOT success), 0::bigint,
        count(response_time_us) FILTER (WHERE success),
        coalesce(sum(response_time_us) FILTER (WHERE success), 0)::bigint,
        min(response_time_us) FILTER (WHERE success), max(response_time_us) FILTER (WHERE success),
        count(dns_us) FILTER (WHERE success), coalesce(sum(dns_us) FILTER (WHERE success), 0)::bigint,
        count(connect_us) FILTER (WHERE success), coalesce(sum(connect_us) FILTER (WHERE success), 0)::bigint,
        count(tls_us) FILTER (WHERE success), coalesce(sum(tls_us) FILTER (WHERE success), 0)::bigint,
        count(ttfb_us) FILTER (WHERE success), coalesce(sum(ttfb_us) FILTER (WHERE success), 0)::bigint,
        count(transfer_us) FILTER (WHERE success), coalesce(sum(transfer_us) FILTER (WHERE success), 0)::bigint,
        coalesce(string_agg(int2send(sketch_range(response_time_us)), '') FILTER (WHERE success), '')
    FROM check_results
    WHERE scheduled_at >= since AND scheduled_at < until
    GROUP BY tenant_id, monitor_id, date_bin('1 hour', scheduled_at, '1970-01-05 00:00Z'), location
$hours_of_results$;

-- Makes the hours from `since` to `until` anew from their results: for everybody, or for some tenants
-- and monitors.  Whoever stores results of them at the same time waits, or is waited for.
CREATE FUNCTION rebuild_hours(
    since timestamptz, until timestamptz, tenants uuid[] DEFAULT NULL, monitors uuid[] DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql
AS $rebuild_hours$
DECLARE
    due check_rollups[];
BEGIN
    -- In the order in which those who store results lock the rows; no other row is touched later.
    WITH locked AS (
        INSERT INTO check_rollups AS kept (tenant_id, hours, monitor_id, start_at, location)
        SELECT tenant_id, 1, monitor_id, start_at, location
        FROM (
            SELECT tenant_id, monitor_id, location,
                date_bin('1 hour', scheduled_at, '1970-01-05 00:00Z') AS start_at
            FROM check_results
            WHERE scheduled_at >= since AND scheduled_at < until
                AND (tenants IS NULL OR tenant_id = ANY (tenants))
                AND (monitors IS NULL OR monitor_id = ANY (monitors))
            UNION
            SELECT tenant_id, monitor_id, location, start_at FROM check_rollups
            WHERE hours = 1 AND start_at >= since AND start_at < until
                AND (tenants IS NULL OR tenant_id = ANY (tenants))
                AND (monitors IS NULL OR monitor_id = ANY (monitors))
        ) AS places
        ORDER BY start_at, tenant_id, monitor_id, location
        ON CONFLICT (tenant_id, hours, monitor_id, start_at, location) DO UPDATE SET checks = kept.checks
        RETURNING kept.*
    ) SELECT array_agg(locked) INTO due FROM locked;
    -- Each statement sees what was committed before it began, and so what the first waited for.
    DELETE FROM check_rollups AS r USING unnest(due) AS d
    WHERE r.tenant_id = d.tenant_id AND r.hours = 1 AND r.monitor_id = d.monitor_id
        AND r.start_at = d.start_at AND r.location = d.location;
    INSERT INTO check_rollups
    SELECT * FROM hours_of_results(since, until)
    WHERE (tenants IS NULL OR tenant_id = ANY (tenants))
        AND (monitors IS NULL OR monitor_id = ANY (monitors))
        AND (tenant_id, monitor_id, start_at, location) IN (
            SELECT d.tenant_id, d.monitor_id, d.start_at, d.location FROM unnest(due) AS d
        );
END
$rebuild_hours$;

-- Marks the longer spans that hours from `since` to `until` belong to, as far as those are over: also
-- the ones in which nothing is left, which are taken away when they are made.
CREATE FUNCTION mark_rollups_stale(
    since timestamptz, until timestamptz, tenants uuid[] DEFAULT NULL, monitors uuid[] DEFAULT NULL
) RETURNS void
    LANGUAGE sql
AS $mark_rollups_stale$
    INSERT INTO check_rollups (tenant_id, hours, monitor_id, start_at, location, stale)
    SELECT tenant_id, wide.hours, monitor_id, wide.start_at, location, true
    FROM (
        SELECT DISTINCT tenant_id, span.hours, monitor_id, place AS location,
            date_bin(make_interval(hours => span.hours), start_at, '1970-01-05 00:00Z') AS start_at
        FROM check_rollups JOIN check_rollup_spans AS span
            ON span.hours > 1 AND start_at < closed_until
        CROSS JOIN LATERAL unnest(
            CASE WHEN by_location THEN ARRAY[location, ''] ELSE ARRAY[''] END
        ) AS place
        WHERE start_at >= since - make_interval(hours => span.hours) AND start_at < until
            AND (check_rollups.hours = span.hours OR check_rollups.hours = 1 AND start_at >= since)
            AND start_at + make_interval(hours => check_rollups.hours) > since
            AND (tenants IS NULL OR tenant_id = ANY (tenants))
            AND (monitors IS NULL OR monitor_id = ANY (monitors))
    ) AS wide
    ORDER BY wide.hours, wide.start_at, tenant_id, monitor_id, location
    ON CONFLICT (tenant_id, hours, monitor_id, start_at, location) DO UPDATE SET stale = true;
$mark_rollups_stale$;

-- Makes up to `many` stale spans of their parts, which are shorter spans, and returns how many are not
-- stale any more.  Whoever stores a late result at the same time marks what it belongs to as stale
-- again afterwards.
CREATE FUNCTION remake_rollups(span smallint, part smallint, many integer) RETURNS integer
    LANGUAGE plpgsql
AS $remake_rollups$
DECLARE
    due check_rollups[];
    remade integer;
BEGIN
    SELECT array_agg(stale_row) INTO due FROM (
        SELECT r.* FROM check_rollups AS r JOIN check_rollup_spans AS s USING (hours)
        WHERE hours = span AND stale AND start_at >= made_from AND start_at < opened_until
        ORDER BY start_at, tenant_id, monitor_id, location LIMIT many
        FOR UPDATE OF r
    ) AS stale_row;
    DELETE FROM check_rollups AS r USING unnest(due) AS d
    WHERE r.tenant_id = d.tenant_id AND r.hours = span AND r.monitor_id = d.monitor_id
        AND r.start_at = d.start_at AND r.location = d.location;
    INSERT INTO check_rollups
    SELECT tenant_id, span, monitor_id, span_at, place, bool_or(stale), sum(checks), sum(failures),
        sum(CASE WHEN part > 1 THEN made WHEN place = '' AND rank = 1 THEN checks ELSE 0 END),
        sum(times), sum(total_us), min(min_us), max(max_us), sum(dns_times), sum(dns_total_us),
        sum(connect_times), sum(connect_total_us), sum(tls_times), sum(tls_total_us),
        sum(ttfb_times), sum(ttfb_total_us), sum(transfer_times), sum(transfer_total_us),
        add_sketches(part, array_agg(sketch))
    FROM (
        SELECT d.start_at AS span_at, d.location AS place, p.*, row_number() OVER (
            PARTITION BY d.tenant_id, d.monitor_id, d.location, p.start_at ORDER BY p.checks DESC
        ) AS rank
        FROM unnest(due) AS d JOIN check_rollups AS p
            ON p.tenant_id = d.tenant_id AND p.hours = part AND p.monitor_id = d.monitor_id
                AND p.start_at >= d.start_at
                AND p.start_at < d.start_at + make_interval(hours => span)
                AND (p.location = d.location OR d.location = '' AND part = 1)
    ) AS parts
    GROUP BY tenant_id, monitor_id, span_at, place;
    SELECT count(*) INTO remade FROM unnest(due) AS d
    WHERE NOT EXISTS (
        SELECT FROM check_rollups AS r
        WHERE r.tenant_id = d.tenant_id AND r.hours = span AND r.monitor_id = d.monitor_id
            AND r.start_at = d.start_at AND r.location = d.location AND r.stale
    );
    RETURN remade;
END
$remake_rollups$;

-- Hours of results that older versions stored are made by the upkeep, from the newest back.
INSERT INTO check_rollup_spans (hours, by_location, made_from, made_until, opened_until, closed_until)
SELECT hours, hours IN (1, 24, 168), made_from, made_until, made_until, made_until FROM (
    SELECT 1, CASE
        WHEN EXISTS (SELECT FROM check_results)
            THEN date_bin('1 hour', now() + interval '65 minutes', '1970-01-05 00:00Z')
        ELSE '2000-01-01 00:00Z'
    END, timestamptz '9999-01-01 00:00Z'
    UNION ALL
    SELECT hours, CASE
        WHEN EXISTS (SELECT FROM check_results) THEN begun ELSE '2000-01-01 00:00Z'
    END, begun
    FROM unnest(ARRAY[6, 24, 168, 672]) AS hours
    CROSS JOIN date_bin(make_interval(hours => hours), now(), '1970-01-05 00:00Z') AS begun
) AS span (hours, made_from, made_until);

GRANT SELECT, INSERT, UPDATE, DELETE ON check_rollups TO urlmon_tenant, urlmon_service;
GRANT SELECT ON check_rollup_spans TO urlmon_tenant;
GRANT SELECT, UPDATE ON check_rollup_spans TO urlmon_service;

DO $secure$
BEGIN
    PERFORM protect_tenant_rows('check_rollups');
END
$secure$;
