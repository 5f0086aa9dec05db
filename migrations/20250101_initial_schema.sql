-- Migration: 001_initial_schema
-- Description: tenants, monitors, channels, alerts and check results

-- Keys and foreign keys carry the tenant: a row of another tenant can be neither referred to nor
-- collided with, and the tables can be distributed by it.  Lengths count characters, as the domain
-- does; every limit of the domain stands here once more.

CREATE TABLE tenants (
    id uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    max_monitors integer NOT NULL,
    shortest_interval_seconds integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT tenants_pkey PRIMARY KEY (id),
    CONSTRAINT tenants_slug_key UNIQUE (slug),
    CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    CONSTRAINT tenants_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT tenants_status_check CHECK (status IN ('active', 'suspended')),
    CONSTRAINT tenants_max_monitors_check CHECK (max_monitors BETWEEN 0 AND 1000000),
    CONSTRAINT tenants_shortest_interval_check CHECK (shortest_interval_seconds BETWEEN 1 AND 86400),
    CONSTRAINT tenants_version_check CHECK (version >= 1)
);

CREATE TABLE monitors (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    method text NOT NULL,
    headers jsonb NOT NULL,
    body text,
    expected_statuses text[] NOT NULL,
    interval_seconds integer NOT NULL,
    timeout_ms integer NOT NULL,
    locations text[] NOT NULL,
    failure_threshold smallint NOT NULL,
    recovery_threshold smallint NOT NULL,
    reminder_interval_seconds integer,
    enabled boolean NOT NULL,
    pause_reason text,
    tags text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT monitors_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT monitors_name_key UNIQUE (tenant_id, name),
    CONSTRAINT monitors_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT monitors_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT monitors_url_check CHECK (char_length(url) <= 2048 AND url ~ '^https?://'),
    CONSTRAINT monitors_method_check
        CHECK (method IN ('GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE')),
    CONSTRAINT monitors_headers_check
        CHECK (jsonb_typeof(headers) = 'array' AND jsonb_array_length(headers) <= 50),
    CONSTRAINT monitors_body_check CHECK (char_length(body) <= 16384),
    CONSTRAINT monitors_expected_statuses_check CHECK (cardinality(expected_statuses) BETWEEN 1 AND 20),
    CONSTRAINT monitors_interval_check CHECK (interval_seconds BETWEEN 1 AND 86400),
    CONSTRAINT monitors_timeout_check
        CHECK (timeout_ms BETWEEN 100 AND 60000 AND timeout_ms <= interval_seconds * 1000),
    CONSTRAINT monitors_locations_check CHECK (cardinality(locations) BETWEEN 1 AND 20),
    CONSTRAINT monitors_failure_threshold_check CHECK (failure_threshold BETWEEN 1 AND 20),
    CONSTRAINT monitors_recovery_threshold_check CHECK (recovery_threshold BETWEEN 1 AND 20),
    CONSTRAINT monitors_reminder_check CHECK (reminder_interval_seconds BETWEEN 60 AND 2592000),
    CONSTRAINT monitors_pause_reason_check
        CHECK (char_length(pause_reason) <= 500 AND (pause_reason IS NULL OR NOT enabled)),
    CONSTRAINT monitors_tags_check CHECK (cardinality(tags) <= 20),
    CONSTRAINT monitors_version_check CHECK (version >= 1)
);

CREATE INDEX idx_monitors_tenant ON monitors (tenant_id, enabled, id);
CREATE INDEX idx_monitors_active ON monitors (id, tenant_id) WHERE enabled;

-- The directory's change feed: each monitor, also one that is no more, with the transaction of its
-- newest change.
CREATE TABLE monitor_changes (
    tenant_id uuid NOT NULL,
    monitor_id uuid NOT NULL,
    changed_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT monitor_changes_pkey PRIMARY KEY (tenant_id, monitor_id)
);

CREATE INDEX idx_monitor_changes_changed ON monitor_changes (changed_in, monitor_id, tenant_id);

CREATE FUNCTION monitor_changed() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $monitor_changed$
BEGIN
    INSERT INTO monitor_changes (tenant_id, monitor_id)
    VALUES (coalesce(NEW.tenant_id, OLD.tenant_id), coalesce(NEW.id, OLD.id))
    ON CONFLICT (tenant_id, monitor_id) DO UPDATE SET changed_in = DEFAULT;
    RETURN NULL;
END
$monitor_changed$;

CREATE TRIGGER monitor_changed AFTER INSERT OR UPDATE OR DELETE ON monitors
    FOR EACH ROW EXECUTE FUNCTION monitor_changed();

-- A tenant's status decides whether its monitors are active: all of them change with it.
CREATE FUNCTION tenant_status_changed() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $tenant_status_changed$
BEGIN
    UPDATE monitor_changes AS c SET changed_in = DEFAULT
    FROM monitors AS m
    WHERE c.tenant_id = NEW.id AND m.tenant_id = c.tenant_id AND m.id = c.monitor_id;
    RETURN NULL;
END
$tenant_status_changed$;

CREATE TRIGGER tenant_status_changed AFTER UPDATE OF status ON tenants
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION tenant_status_changed();

CREATE TABLE notification_channels (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    config jsonb NOT NULL,
    -- Encrypted by the library, bound to tenant and channel; NULL where there are none.
    secrets text,
    enabled boolean NOT NULL,
    consecutive_failures integer NOT NULL DEFAULT 0,
    last_delivery_at timestamptz,
    last_success_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT notification_channels_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT notification_channels_name_key UNIQUE (tenant_id, name),
    CONSTRAINT notification_channels_tenant_fkey
        FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT notification_channels_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT notification_channels_kind_check CHECK (kind IN (
        'email', 'webhook', 'slack', 'teams', 'discord', 'telegram', 'pagerduty', 'opsgenie', 'sms'
    )),
    CONSTRAINT notification_channels_config_check
        CHECK (jsonb_typeof(config) = 'array' AND jsonb_array_length(config) <= 50),
    CONSTRAINT notification_channels_failures_check CHECK (consecutive_failures >= 0),
    CONSTRAINT notification_channels_error_check CHECK (char_length(last_error) BETWEEN 1 AND 500),
    CONSTRAINT notification_channels_version_check CHECK (version >= 1)
);

CREATE TABLE monitor_channels (
    tenant_id uuid NOT NULL,
    monitor_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    position smallint NOT NULL,
    CONSTRAINT monitor_channels_pkey PRIMARY KEY (tenant_id, monitor_id, channel_id),
    CONSTRAINT monitor_channels_monitor_fkey FOREIGN KEY (tenant_id, monitor_id)
        REFERENCES monitors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT monitor_channels_channel_fkey FOREIGN KEY (tenant_id, channel_id)
        REFERENCES notification_channels (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT monitor_channels_position_check CHECK (position BETWEEN 0 AND 19)
);

CREATE INDEX idx_monitor_channels_channel ON monitor_channels (tenant_id, channel_id, monitor_id);

CREATE TABLE alerts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    monitor_id uuid NOT NULL,
    rule text NOT NULL,
    cause text NOT NULL,
    opened_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    note text,
    resolved_at timestamptz,
    notification_count integer NOT NULL DEFAULT 0,
    CONSTRAINT alerts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT alerts_monitor_fkey FOREIGN KEY (tenant_id, monitor_id)
        REFERENCES monitors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT alerts_rule_check CHECK (rule ~ '^[a-z][a-z0-9_-]{0,62}$'),
    CONSTRAINT alerts_cause_check CHECK (char_length(cause) <= 500),
    CONSTRAINT alerts_acknowledged_check CHECK (
        (acknowledged_at IS NULL) = (acknowledged_by IS NULL)
        AND (note IS NULL OR acknowledged_at IS NOT NULL)
        AND acknowledged_at >= opened_at
        AND char_length(acknowledged_by) BETWEEN 1 AND 200
        AND char_length(note) BETWEEN 1 AND 2000
    ),
    CONSTRAINT alerts_resolved_check CHECK (resolved_at >= opened_at),
    CONSTRAINT alerts_notification_count_check CHECK (notification_count >= 0)
);

-- At most one open alert of a monitor and rule, also under races.
CREATE UNIQUE INDEX alerts_one_open ON alerts (tenant_id, monitor_id, rule) WHERE resolved_at IS NULL;
CREATE INDEX idx_alerts_monitor_triggered ON alerts (tenant_id, monitor_id, opened_at DESC, id DESC);
CREATE INDEX idx_alerts_tenant_triggered ON alerts (tenant_id, opened_at DESC, id DESC);

-- No foreign key: results arrive for monitors that were removed meanwhile, and months of them are
-- dropped without asking any other table.
CREATE TABLE check_results (
    tenant_id uuid NOT NULL,
    monitor_id uuid NOT NULL,
    -- Sorted by code point, as every other store sorts it.
    location text COLLATE "C" NOT NULL,
    scheduled_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    success boolean NOT NULL,
    status_code smallint,
    response_time_us bigint,
    dns_us bigint,
    connect_us bigint,
    tls_us bigint,
    ttfb_us bigint,
    transfer_us bigint,
    error_kind text,
    error_message text,
    tls_expires_at timestamptz,
    size_bytes bigint,
    -- Time first: rows arrive in its order, so the index grows at one end.
    CONSTRAINT check_results_pkey PRIMARY KEY (scheduled_at, tenant_id, monitor_id, location),
    CONSTRAINT check_results_location_check CHECK (location ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    CONSTRAINT check_results_error_check CHECK (
        success = (error_kind IS NULL)
        AND (error_kind IS NULL) = (error_message IS NULL)
        AND error_kind IN ('dns', 'connect', 'tls', 'timeout', 'status', 'content', 'other')
        AND char_length(error_message) <= 500
    ),
    CONSTRAINT check_results_status_code_check CHECK (status_code BETWEEN 100 AND 599),
    CONSTRAINT check_results_times_check CHECK (
        response_time_us BETWEEN 0 AND 3600000000
        AND dns_us BETWEEN 0 AND 3600000000
        AND connect_us BETWEEN 0 AND 3600000000
        AND tls_us BETWEEN 0 AND 3600000000
        AND ttfb_us BETWEEN 0 AND 3600000000
        AND transfer_us BETWEEN 0 AND 3600000000
    ),
    CONSTRAINT check_results_size_check CHECK (size_bytes BETWEEN 0 AND 1099511627776)
) PARTITION BY RANGE (scheduled_at);

CREATE INDEX idx_check_results_monitor_time
    ON check_results (tenant_id, monitor_id, scheduled_at DESC, location);
CREATE INDEX idx_check_results_location_time
    ON check_results (tenant_id, location, scheduled_at DESC);

-- Keeps what no month takes yet, until create_monthly_partition moves it.
CREATE TABLE check_results_default PARTITION OF check_results DEFAULT;
