-- Migration: 004_sweep
-- Description: removal at once with a sweep behind it, and indexes for lists of any length

-- A tenant is removed by a mark, the transaction that removed it: whatever reads tells by it that the
-- tenant and its rows are gone, and the sweep deletes them later, step by step.
ALTER TABLE tenants
    ADD COLUMN removed_in xid8,
    -- Kept by triggers on monitors: counting 100,000 of them at each that is added takes too long.
    ADD COLUMN monitor_count integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT tenants_slug_key;
CREATE UNIQUE INDEX tenants_slug_key ON tenants (slug) WHERE removed_in IS NULL;
CREATE INDEX idx_tenants_status ON tenants (status, id) WHERE removed_in IS NULL;
CREATE INDEX idx_tenants_removed ON tenants (removed_in) WHERE removed_in IS NOT NULL;

UPDATE tenants AS t SET monitor_count = (SELECT count(*) FROM monitors AS m WHERE m.tenant_id = t.id);

-- What the setting urlmon.tenant becomes for a tenant: nothing for one that was removed, so that
-- row-level security hides its rows before they are deleted.
CREATE FUNCTION present_tenant(wanted uuid) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
AS $present_tenant$
BEGIN
    RETURN CASE
        WHEN EXISTS (SELECT FROM tenants WHERE id = wanted AND removed_in IS NOT NULL) THEN ''
        ELSE wanted::text
    END;
END
$present_tenant$;

-- Monitors that are gone, while results of theirs can be in a store or on their way to it.
CREATE TABLE removed_monitors (
    tenant_id uuid NOT NULL,
    monitor_id uuid NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now(),
    -- When a sweep takes it up next.
    sweep_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT removed_monitors_pkey PRIMARY KEY (tenant_id, monitor_id)
);
CREATE INDEX idx_removed_monitors_due ON removed_monitors (sweep_at);

-- Monitors by tag.  The array in monitors is the record; triggers keep this in step with it.
CREATE TABLE monitor_tags (
    tenant_id uuid NOT NULL,
    monitor_id uuid NOT NULL,
    tag text NOT NULL,
    CONSTRAINT monitor_tags_pkey PRIMARY KEY (tenant_id, monitor_id, tag),
    CONSTRAINT monitor_tags_monitor_fkey FOREIGN KEY (tenant_id, monitor_id)
        REFERENCES monitors (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_monitor_tags_tag ON monitor_tags (tenant_id, tag, monitor_id);

INSERT INTO monitor_tags (tenant_id, monitor_id, tag)
SELECT DISTINCT tenant_id, id, unnest(tags) FROM monitors;

-- The change feed tells of a tenant's monitors when it is removed, before the sweep has come to them:
-- what the sweep deletes keeps the place that it was told at.
CREATE OR REPLACE FUNCTION monitor_changed() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $monitor_changed$
DECLARE
    place xid8 := pg_current_xact_id();
BEGIN
    IF TG_OP = 'DELETE' THEN
        place := coalesce((SELECT removed_in FROM tenants WHERE id = OLD.tenant_id), place);
        INSERT INTO removed_monitors (tenant_id, monitor_id) VALUES (OLD.tenant_id, OLD.id)
        ON CONFLICT (tenant_id, monitor_id) DO UPDATE SET removed_at = DEFAULT, sweep_at = DEFAULT;
    ELSIF TG_OP = 'INSERT' THEN
        DELETE FROM removed_monitors WHERE tenant_id = NEW.tenant_id AND monitor_id = NEW.id;
    END IF;
    INSERT INTO monitor_changes (tenant_id, monitor_id, changed_in)
    VALUES (coalesce(NEW.tenant_id, OLD.tenant_id), coalesce(NEW.id, OLD.id), place)
    ON CONFLICT (tenant_id, monitor_id) DO UPDATE SET changed_in = excluded.changed_in;
    RETURN NULL;
END
$monitor_changed$;

CREATE FUNCTION monitors_counted() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $monitors_counted$
DECLARE
    counted record;
BEGIN
    FOR counted IN
        SELECT tenant_id, CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END * count(*) AS difference
        FROM counted_rows GROUP BY tenant_id ORDER BY tenant_id
    LOOP
        UPDATE tenants SET monitor_count = monitor_count + counted.difference
        WHERE id = counted.tenant_id;
    END LOOP;
    RETURN NULL;
END
$monitors_counted$;

CREATE TRIGGER monitors_added AFTER INSERT ON monitors
    REFERENCING NEW TABLE AS counted_rows
    FOR EACH STATEMENT EXECUTE FUNCTION monitors_counted();
CREATE TRIGGER monitors_removed AFTER DELETE ON monitors
    REFERENCING OLD TABLE AS counted_rows
    FOR EACH STATEMENT EXECUTE FUNCTION monitors_counted();

CREATE FUNCTION monitor_tagged() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $monitor_tagged$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM monitor_tags WHERE tenant_id = NEW.tenant_id AND monitor_id = NEW.id;
    END IF;
    INSERT INTO monitor_tags (tenant_id, monitor_id, tag)
    SELECT DISTINCT NEW.tenant_id, NEW.id, tag FROM unnest(NEW.tags) AS tag;
    RETURN NULL;
END
$monitor_tagged$;

CREATE TRIGGER monitor_tagged AFTER INSERT ON monitors
    FOR EACH ROW WHEN (NEW.tags <> '{}') EXECUTE FUNCTION monitor_tagged();
CREATE TRIGGER monitor_tagged_anew AFTER UPDATE OF tags ON monitors
    FOR EACH ROW WHEN (OLD.tags IS DISTINCT FROM NEW.tags) EXECUTE FUNCTION monitor_tagged();

CREATE FUNCTION alert_status(resolved_at timestamptz, acknowledged_at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $alert_status$
    SELECT CASE
        WHEN resolved_at IS NOT NULL THEN 'resolved'
        WHEN acknowledged_at IS NOT NULL THEN 'acknowledged'
        ELSE 'firing'
    END
$alert_status$;

-- The second serves timelines: most alerts ended before the period that is asked for.
CREATE INDEX idx_alerts_tenant_status
    ON alerts (tenant_id, alert_status(resolved_at, acknowledged_at), opened_at DESC, id DESC);
CREATE INDEX idx_alerts_monitor_resolved ON alerts (tenant_id, monitor_id, resolved_at);
CREATE INDEX idx_check_results_failures
    ON check_results (tenant_id, monitor_id, scheduled_at DESC, location) WHERE NOT success;

GRANT SELECT, INSERT, UPDATE, DELETE ON removed_monitors TO urlmon_tenant, urlmon_service;
GRANT SELECT, INSERT, DELETE ON monitor_tags TO urlmon_tenant;
GRANT SELECT ON monitor_tags TO urlmon_service;
-- The sweep deletes rows of removed tenants, and their monitors tell of it.
GRANT DELETE ON monitors, notification_channels, alerts TO urlmon_service;
GRANT INSERT ON monitor_changes TO urlmon_service;

DO $secure$
BEGIN
    -- Not FROM CURRENT: temporary tables would come first in it, and anyone can make those.
    EXECUTE format(
        'ALTER FUNCTION present_tenant(uuid) SET search_path TO %I, pg_temp', current_schema()
    );
    PERFORM protect_tenant_rows('removed_monitors');
    PERFORM protect_tenant_rows('monitor_tags');
END
$secure$;
