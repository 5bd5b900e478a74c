"""What a database says instead of an answer."""


class Refused(Exception):
    """It says no, or what is no answer of its protocol. ``is_answer``: it is one; ``at_query``: after the login."""

    def __init__(self, words: str, *, is_answer: bool = True, at_query: bool = False) -> None:
        super().__init__(words)
        self.words, self.is_answer, self.at_query = words, is_answer, at_query
