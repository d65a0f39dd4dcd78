"""Interpreters, environments and builds: inspect, plan, apply."""
