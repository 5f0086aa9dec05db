"""Statistics in PostgreSQL: the arithmetic that they rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urlmon_adapters.postgres._database import Pool

_WRONG_RANKS = """
SELECT n, percent
FROM generate_series(1, 100000) AS number, unnest(ARRAY[50, 95, 99], ARRAY[0.5, 0.95, 0.99])
    AS asked (percent, fraction),
    -- Small counts, and large ones up to two thousand million.
    unnest(ARRAY[number, number * 20000::bigint, number * 20000::bigint + 1]) AS n
WHERE ceil(fraction::float8 * n::float8)::bigint <> (percent * n + 99) / 100
LIMIT 5
"""


async def test_percentiles_in_double_precision_are_nearest_rank(postgres_pool: Pool) -> None:
    """The rank that percentile_disc works out is that of whole numbers, for any count."""
    async with postgres_pool.connection() as connection:
        assert await (await connection.execute(_WRONG_RANKS)).fetchall() == []
