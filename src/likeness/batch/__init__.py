"""Many commands as one: jobs from a table, shared out among workers, in one folder with a record.

JOBS.toml -> jobs -> engine -> record -> summary.csv, summary.json, report.html
"""
