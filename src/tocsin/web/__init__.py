"""Pages for people: the start page, action links, the readable API reference."""
