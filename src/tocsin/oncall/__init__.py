"""Who is on call: schedules, overrides, teams."""
