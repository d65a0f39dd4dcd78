"""Finds one universal set of versions, or proves and explains that there is none.

Nothing in here reads files, the network, the clock or the environment: `pypm_resolver.session`
asks for facts and is fed with them. This file binds nothing.
"""
