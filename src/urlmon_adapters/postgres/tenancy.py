"""Looks in the catalogue for ways round row-level security.

Each query lists gaps of one kind, as `(what, problem)`; none reads a row of a tenant.
"""

from __future__ import annotations

from typing import Final

from urlmon_adapters.postgres._database import Connection

# Whatever holds rows of tenants: the table of tenants, and each that has the column.
_GUARDED: Final = """
WITH home AS (SELECT relnamespace AS oid FROM pg_class WHERE oid = to_regclass('tenants')),
guarded AS (
    SELECT c.oid, c.relispartition, c.relrowsecurity, c.relacl, a.attnum AS key_number,
        '(' || a.attname || ' = current_tenant())' AS of_tenant
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = (SELECT oid FROM home) AND c.relkind IN ('r', 'p')
        AND a.attname = CASE c.oid WHEN to_regclass('tenants') THEN 'id' ELSE 'tenant_id' END
)
"""
_TABLES: Final = """
SELECT oid::regclass::text, 'row-level security is not enabled' FROM guarded
WHERE NOT relrowsecurity
UNION ALL
SELECT oid::regclass::text, 'lacks a policy for ' || role FROM guarded
CROSS JOIN unnest(ARRAY['urlmon_tenant', 'urlmon_service']) AS role
WHERE NOT EXISTS (
    SELECT FROM pg_policy
    WHERE polrelid = guarded.oid AND polroles = ARRAY[to_regrole(role)::oid] AND polcmd = '*'
)
UNION ALL
SELECT g.oid::regclass::text, 'the policy ' || p.polname || ' lets other rows through'
FROM guarded AS g JOIN pg_policy AS p ON p.polrelid = g.oid
WHERE p.polpermissive AND p.polroles <> ARRAY[to_regrole('urlmon_service')::oid] AND (
    p.polroles <> ARRAY[to_regrole('urlmon_tenant')::oid]
    OR pg_get_expr(p.polqual, g.oid) IS DISTINCT FROM g.of_tenant
    OR pg_get_expr(p.polwithcheck, g.oid) IS DISTINCT FROM g.of_tenant
)
UNION ALL
SELECT g.oid::regclass::text, coalesce(r.rolname, 'everybody') || ' has the right to '
    || acl.privilege_type
FROM guarded AS g
CROSS JOIN aclexplode(g.relacl) AS acl LEFT JOIN pg_roles AS r ON r.oid = acl.grantee
WHERE acl.grantee = 0
    OR g.relispartition AND r.rolname IN ('urlmon_tenant', 'urlmon_service', 'urlmon_ingest')
    OR r.rolname = 'urlmon_ingest'
        AND (g.oid, acl.privilege_type) <> (to_regclass('check_results'), 'INSERT')
    OR r.rolname = 'urlmon_tenant'
        AND acl.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
"""
# A key without the tenant tells by a conflict, or by a reference, what another tenant has.
_KEYS: Final = """
SELECT i.indexrelid::regclass::text, 'this unique key lacks the tenant'
FROM guarded AS g JOIN pg_index AS i ON i.indrelid = g.oid
WHERE (i.indisunique OR i.indisexclusion) AND g.oid <> to_regclass('tenants')
    AND g.key_number <> ALL (i.indkey)
UNION ALL
SELECT c.conrelid::regclass::text, 'the foreign key ' || c.conname || ' lacks the tenant'
FROM guarded AS g JOIN pg_constraint AS c ON c.conrelid = g.oid AND c.contype = 'f'
WHERE EXISTS (SELECT FROM guarded WHERE oid = c.confrelid) AND g.key_number <> ALL (c.conkey)
"""
_OTHER_WAYS: Final = """
SELECT DISTINCT v.oid::regclass::text, 'this view shows rows with the rights of its owner'
FROM guarded AS g JOIN pg_depend AS d ON d.refobjid = g.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class AS v ON v.oid = r.ev_class AND v.oid <> g.oid
WHERE v.relkind = 'm' OR v.relkind = 'v' AND NOT EXISTS (
    SELECT FROM pg_options_to_table(v.reloptions)
    WHERE option_name = 'security_invoker' AND option_value::boolean
)
UNION ALL
SELECT p.oid::regprocedure::text, CASE
    WHEN p.proname <> ALL (%(functions)s::text[])
        THEN 'this function runs with the rights of its owner'
    ELSE 'this function of the owner looks tables up where others can put theirs'
END
FROM pg_proc AS p
WHERE p.pronamespace = (SELECT oid FROM home) AND p.prosecdef AND (
    p.proname <> ALL (%(functions)s::text[])
    OR NOT EXISTS (
        SELECT FROM unnest(p.proconfig) AS setting WHERE setting ~ '^search_path=.*, "?pg_temp"?$'
    )
)
UNION ALL
SELECT 'urlmon.tenant', 'a role or database has a setting of its own for it'
FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS setting
WHERE starts_with(setting, 'urlmon.tenant=')
    AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
_ROLES: Final = """
SELECT role, 'there is no such role' FROM unnest(ARRAY['urlmon_tenant', 'urlmon_service']) AS role
WHERE to_regrole(role) IS NULL
UNION ALL
SELECT rolname, 'row-level security does not bind this role' FROM pg_roles
WHERE rolname IN ('urlmon_tenant', 'urlmon_service') AND (rolsuper OR rolbypassrls)
UNION ALL
SELECT r.rolname, 'is a member of ' || g.rolname FROM pg_auth_members AS m
JOIN pg_roles AS r ON r.oid = m.member JOIN pg_roles AS g ON g.oid = m.roleid
WHERE r.rolname IN ('urlmon_tenant', 'urlmon_service', 'urlmon_ingest')
UNION ALL
SELECT c.oid::regclass::text, r.rolname || ' owns it'
FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
WHERE r.rolname IN ('urlmon_tenant', 'urlmon_service', 'urlmon_ingest')
UNION ALL
SELECT session_user::text, 'this login has the rights of ' || role || ' outside of transactions'
FROM unnest(ARRAY['urlmon_tenant', 'urlmon_service', 'urlmon_ingest']) AS role
JOIN pg_roles AS r ON r.rolname = session_user AND NOT r.rolsuper
WHERE to_regrole(role) IS NOT NULL AND pg_has_role(r.oid, to_regrole(role), 'USAGE')
    AND NOT EXISTS (SELECT FROM guarded JOIN pg_class AS c USING (oid) WHERE c.relowner = r.oid)
"""
# They end at what they are made for: none returns a row of a tenant.
_KNOWN_FUNCTIONS: Final = [
    "create_monthly_partition",
    "drop_old_partitions",
    "months_in_default",
    "present_tenant",
]


# The first minor release of each major in which statistics of a partition or view no longer tell of
# rows that row-level security hides (CVE-2025-8713, release notes of PostgreSQL 17.6).
_FIRST_TIGHT: Final = {15: 14, 16: 10, 17: 6}


def is_leaky(server_version: int) -> bool:
    """Whether a server, by its `server_version_num`, is known not to keep rows to itself."""
    major, minor = divmod(server_version, 10_000)
    return major < min(_FIRST_TIGHT) or minor < _FIRST_TIGHT.get(major, 0)


async def find_gaps(connection: Connection) -> tuple[str, ...]:
    """Return every way round row-level security that the catalogue shows, one line each.

    It looks at tables, partitions, policies, privileges, keys, views, functions, settings, roles
    and the login; a superuser's is no gap: a transaction of the library has none of its rights.
    """
    found: list[str] = []
    if is_leaky(connection.info.server_version):
        found.append("the server: its version has known leaks, install its newest minor release")
    for query in (_TABLES, _KEYS, _OTHER_WAYS, _ROLES):
        cursor = await connection.execute(_GUARDED + query, {"functions": _KNOWN_FUNCTIONS})
        found += [f"{what}: {problem}" async for what, problem in cursor]
    return tuple(sorted(found))
