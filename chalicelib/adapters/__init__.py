"""Speaks: each file turns one port into calls of one outside service, and its errors into ours."""
