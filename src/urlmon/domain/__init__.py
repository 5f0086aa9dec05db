"""The domain: frozen values, valid by construction, and the pure rules over them."""
