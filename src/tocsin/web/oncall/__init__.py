"""Who is on call, as people look at it and change it."""
