"""Reads manifests into members and their graph, and edits them in place."""
