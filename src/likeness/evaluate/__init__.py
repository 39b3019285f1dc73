"""Judging methods: on frames that training never saw, and any two videos of one performance."""
