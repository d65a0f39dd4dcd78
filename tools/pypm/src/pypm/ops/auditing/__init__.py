"""What an audit is made of: what is known, how it is reached, what is done about it."""
