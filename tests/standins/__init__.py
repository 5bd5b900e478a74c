"""Servers that behave like the real ones, on loopback: what is tested against them is true of the real ones too."""
