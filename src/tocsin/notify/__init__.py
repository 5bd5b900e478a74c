"""Telling people: who is told what, the outbox that promises it, and the channels that carry it."""
