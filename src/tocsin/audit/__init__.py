"""Who did what, and what was refused: appended only, each entry sealed with the digest of the one before."""
