"""What is done as time passes: the visible list of steps and the loop that runs them."""
