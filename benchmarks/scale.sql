-- A database of 10,000 tenants, of which the first has 100,000 monitors.  For a superuser, in a
-- migrated database without rows; triggers are off, and what they keep is written here.
SET session_replication_role = replica;

CREATE FUNCTION pg_temp.uid(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

INSERT INTO tenants
    (id, slug, name, status, max_monitors, shortest_interval_seconds, created_at, updated_at, version)
SELECT pg_temp.uid(1, n), 't' || n, 'T', CASE WHEN n % 100 = 99 THEN 'suspended' ELSE 'active' END,
    1000000, 1, now(), now(), 1
FROM generate_series(0, 9999) AS n;

-- Half of them of the first tenant; of those 100 disabled, and 10 with a rare tag.
INSERT INTO monitors (
    tenant_id, id, name, url, method, headers, expected_statuses, interval_seconds, timeout_ms,
    locations, failure_threshold, recovery_threshold, enabled, tags, created_at, updated_at, version
)
SELECT pg_temp.uid(1, CASE WHEN n <= 100000 THEN 0 ELSE 1 + n % 9999 END), pg_temp.uid(2, n),
    'Monitor ' || n, 'https://example.com/' || n, 'GET', '[]', '{200-299}', 60, 10000,
    '{default}', 3, 2, n % 1000 <> 0,
    CASE WHEN n % 10000 = 17 THEN '{common,rare}'::text[] ELSE '{common}' END, now(), now(), 1
FROM generate_series(1, 200000) AS n;
INSERT INTO monitor_tags SELECT tenant_id, id, unnest(tags) FROM monitors;
INSERT INTO monitor_changes
SELECT tenant_id, id, (10 + row_number() OVER () / 500)::text::xid8 FROM monitors;
UPDATE tenants AS t SET monitor_count = (SELECT count(*) FROM monitors WHERE tenant_id = t.id);

-- The first channel serves every second monitor, the second ten.
INSERT INTO notification_channels
    (tenant_id, id, name, kind, config, enabled, created_at, updated_at, version)
SELECT pg_temp.uid(1, 0), pg_temp.uid(3, n), 'Channel ' || n, 'webhook', '[]', true, now(), now(), 1
FROM generate_series(0, 1999) AS n;
INSERT INTO monitor_channels
SELECT tenant_id, id, pg_temp.uid(3, CASE WHEN 'rare' = ANY (tags) THEN 1 ELSE 0 END), 0
FROM monitors
WHERE tenant_id = pg_temp.uid(1, 0) AND ('rare' = ANY (tags) OR right(id::text, 1) < '8');

-- One for each monitor of the first tenant, 10,000 for its first; few are open.
INSERT INTO alerts
    (tenant_id, id, monitor_id, rule, cause, opened_at, acknowledged_at, acknowledged_by, resolved_at)
SELECT pg_temp.uid(1, 0), pg_temp.uid(4, n), pg_temp.uid(2, CASE WHEN n > 100000 THEN 1 ELSE n END),
    'down', 'cause', at, CASE WHEN n % 5000 = 7 THEN at END, CASE WHEN n % 5000 = 7 THEN 'me' END,
    CASE WHEN n % 5000 NOT IN (5, 6, 7) OR n > 100000 THEN at + interval '20 seconds' END
FROM generate_series(1, 110000) AS n
CROSS JOIN LATERAL (SELECT now() - n * interval '1 minute' AS at) AS opened;

-- 100 for each of 1,000 monitors, 50,000 for the first; few failures.
INSERT INTO check_results (
    tenant_id, monitor_id, location, scheduled_at, checked_at, success, error_kind, error_message,
    status_code, response_time_us
)
SELECT pg_temp.uid(1, 0), pg_temp.uid(2, m), 'default', at, at, n % 4999 <> 0,
    CASE WHEN n % 4999 = 0 THEN 'timeout' END, CASE WHEN n % 4999 = 0 THEN 'slow' END, 200, 1000
FROM generate_series(1, 1000) AS m
CROSS JOIN LATERAL generate_series(1, CASE m WHEN 1 THEN 50000 ELSE 100 END) AS n
CROSS JOIN LATERAL (SELECT date_trunc('minute', now()) - n * interval '1 minute' AS at) AS due;

-- One tenant waits for the sweep, and so do ten of 20,000 monitors that were removed.
UPDATE tenants SET removed_in = '20' WHERE slug = 't5000';
INSERT INTO removed_monitors
SELECT pg_temp.uid(1, 0), pg_temp.uid(2, 1000000 + n), now(),
    now() + CASE WHEN n <= 10 THEN interval '0' ELSE interval '30 days' END
FROM generate_series(1, 20000) AS n;

RESET session_replication_role;
