"""Numbers and reports: how good a result is, judged against the real thing."""
