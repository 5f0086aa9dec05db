"""The real stores behind the ports of urlmon, and what wires and runs them."""
