-- Migration: 003_row_security
-- Description: roles for the library's queries, and row-level security between tenants

-- Whatever the login is, each transaction of the library takes one of two roles until it ends, by
-- set_config('role', ..., true): an owner's or a superuser's rights do not reach its statements.
--   urlmon_tenant   serves the one tenant that the setting urlmon.tenant names; none, nothing.
--   urlmon_service  serves all tenants, for the calls whose items carry their tenant.
--   urlmon_ingest   appends check results by COPY, which row-level security would refuse, and can
--                   read and change nothing.
-- Row-level security is enabled and not forced: a data migration, a dump and the partition functions,
-- which run as the owner, must see all rows.
DO $roles$
DECLARE
    wanted text;
    is_superuser CONSTANT boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    membership CONSTANT text := CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN ' WITH INHERIT FALSE, SET TRUE'
        ELSE ''
    END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['urlmon_tenant', 'urlmon_service', 'urlmon_ingest'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format(
                    'CREATE ROLE %I NOLOGIN %s',
                    wanted, CASE wanted WHEN 'urlmon_ingest' THEN 'BYPASSRLS' ELSE '' END
                );
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- made at the same moment for another database of the cluster
            WHEN insufficient_privilege THEN
                IF wanted <> 'urlmon_ingest' THEN
                    RAISE insufficient_privilege USING
                        MESSAGE = format('the role %I is missing, and %I may not make it', wanted, current_user),
                        HINT = 'Let a superuser run'
                            ' CREATE ROLE urlmon_tenant NOLOGIN; CREATE ROLE urlmon_service NOLOGIN;'
                            ' and migrate again.';
                END IF;
                RAISE NOTICE 'there is no role urlmon_ingest: check results are written without COPY';
        END;
        -- Who migrates may also be the login of the services.
        IF NOT is_superuser AND EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER%s', wanted, membership);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE NOTICE '% is not made a member of %: whoever made the role can', current_user, wanted;
            END;
        END IF;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO urlmon_tenant, urlmon_service', current_schema());
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'urlmon_ingest' AND rolbypassrls) THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO urlmon_ingest', current_schema());
        GRANT INSERT ON check_results TO urlmon_ingest;
    END IF;
END
$roles$;

GRANT SELECT, UPDATE, DELETE ON tenants TO urlmon_tenant;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON monitors, notification_channels, monitor_channels, alerts TO urlmon_tenant;
GRANT SELECT, INSERT, UPDATE ON monitor_changes TO urlmon_tenant;
GRANT SELECT, DELETE ON check_results TO urlmon_tenant;

GRANT SELECT, INSERT, UPDATE, DELETE ON tenants, check_results TO urlmon_service;
GRANT SELECT ON monitors, notification_channels, monitor_channels, alerts TO urlmon_service;
GRANT SELECT, UPDATE ON monitor_changes TO urlmon_service;

-- Every login compares the files with what was applied, before it takes a role.
GRANT SELECT ON schema_migrations TO PUBLIC;

-- The tenant that the transaction serves; NULL, which equals nothing, where none was named.
CREATE FUNCTION current_tenant() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
AS $current_tenant$
    SELECT nullif(pg_catalog.current_setting('urlmon.tenant', true), '')::pg_catalog.uuid
$current_tenant$;

-- Enables row-level security on a table of tenants' rows; partitions need it one by one, as whoever
-- reads one directly meets only its own policies.
CREATE FUNCTION protect_tenant_rows(target regclass) RETURNS void
    LANGUAGE plpgsql
AS $protect_tenant_rows$
DECLARE
    of_tenant CONSTANT text := format(
        '%I = current_tenant()',
        CASE WHEN target = 'tenants'::regclass THEN 'id' ELSE 'tenant_id' END
    );
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY of_tenant ON %s TO urlmon_tenant USING (%s) WITH CHECK (%s)',
        target, of_tenant, of_tenant
    );
    EXECUTE format(
        'CREATE POLICY of_all_tenants ON %s TO urlmon_service USING (true) WITH CHECK (true)', target
    );
END
$protect_tenant_rows$;

DO $secure$
DECLARE
    target regclass;
BEGIN
    -- Not FROM CURRENT: temporary tables would come first in it, and anyone can make those.
    EXECUTE format(
        'ALTER FUNCTION protect_tenant_rows(regclass) SET search_path TO %I, pg_temp', current_schema()
    );
    FOREACH target IN ARRAY ARRAY[
        'tenants', 'monitors', 'monitor_changes', 'notification_channels', 'monitor_channels', 'alerts'
    ]::regclass[] LOOP
        PERFORM protect_tenant_rows(target);
    END LOOP;
    FOR target IN SELECT relid FROM pg_partition_tree('check_results') LOOP
        PERFORM protect_tenant_rows(target);
    END LOOP;
END
$secure$;
REVOKE EXECUTE ON FUNCTION protect_tenant_rows(regclass) FROM PUBLIC;
