"""`tocsin doctor`: probes look, rules judge, the report tells. Nothing is changed by it."""
