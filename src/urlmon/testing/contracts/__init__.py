"""Contract suites: what every implementation of a port must pass, ours and anyone's.

A suite is a class of tests.  Subclass it and give it the fixture it asks for (`relational`,
`recording` or `working`, see `urlmon.testing.contracts.stores`).  Needs pytest with pytest-asyncio
in auto mode.
"""
