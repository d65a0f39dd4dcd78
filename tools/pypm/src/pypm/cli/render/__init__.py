"""How reports, errors and progress look to a person."""
