"""What is known against a lock: advisories, licences, a bill of materials."""
