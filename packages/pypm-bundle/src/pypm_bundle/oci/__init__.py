"""Images for containers: layers, and the layouts they lie in (OCI image specification 1.1)."""
