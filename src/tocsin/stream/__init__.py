"""What has just happened, told to whoever listens: read behind the commits, sent to many."""
