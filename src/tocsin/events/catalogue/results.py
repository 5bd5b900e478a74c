"""What the result text of a payment gateway says. Each gateway module writes its own words.

Read in this order: nothing there, a plain code, a failure word, a negated success word, a waiting word, a success word.
Text that says none of these does not read as success, and is taken as a failure: better one page too many than
a gateway that refuses all night unseen.
"""

import enum
import re
from functools import lru_cache
from unicodedata import combining, normalize

_READ_LIMIT = 200


class Reading(enum.Enum):
    """What a result text says of the payment."""

    SUCCESS = "success"
    PENDING = "pending"  # under way: no failure, and no proof of success either
    FAILURE = "failure"
    UNKNOWN = "unknown"  # there is no text


_CODES = {"1": Reading.SUCCESS, "00": Reading.SUCCESS, "000": Reading.SUCCESS, "200": Reading.SUCCESS}

# Beginnings of words, without accents.
_FAILURE = (
    "fail|declin|denied|deny|refus|reject|error|invalid|insufficient|expir|chargeback|disput|void|block|fraud|timeout"
    "|timed|abort|cancel|mismatch|exception|unable|missing|wrong|incorrect|bad|revers|bounce|lost|stolen|requir|incomplet"
    "|unsuccess|unapprov|disapprov|unauthori|unverif|unpaid|unsettled|unconfirmed|unprocess|unaccept|unknown|suspect"
    "|fehl|abgelehnt|abgebroch|ungultig|echec|echou|erreur|rechaz|fallid|fallo|recus|falh|negad|negat|rifiut|mislukt|geweiger"
)
_SUCCESS = (
    "success|succe[es]|approv|complete|accept|authori[sz]ed|captured|charged|paid|settled|processed|verified|confirmed"
    "|passed|validated|refunded|credited|cleared|(?:ok|okay|valid|done|true|yes|pass)\\b"
    "|erfolg|genehmigt|bezahlt|reussi|exito|aprobad|aprovad|sucesso|pagad|geslaagd|betaald|riuscit|approvat"
)
_PENDING = "pending|processing|initiated|received|created|scheduled|queued|await|waiting|progress|submitted|started|review"
_NOT = "not|non|no|never|cannot|cant|without|nicht|kein|keine|nao|pas|niet|wasnt|isnt|didnt"

_HARMLESS = re.compile(r"\b(?:(?:no|without|0|zero) (?:errors?|failures?|fraud)|(?:errors?|failed|failures?) (?:0|no|none|false))\b")
_FAILED = re.compile(rf"\b(?:{_FAILURE})|\b(?:{_NOT}) (?:\w+ ){{0,2}}(?:{_SUCCESS})|\b(?:{_SUCCESS})\w* (?:0|no|false)\b")
_WAITING = re.compile(rf"\b(?:{_PENDING})")
_SUCCEEDED = re.compile(rf"\b(?:{_SUCCESS})")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def read_result(result: object) -> Reading:
    """What *result* says: a text of the gateway's, a number, or true and false."""
    if isinstance(result, str):
        return _read(result[:_READ_LIMIT])
    if isinstance(result, bool):
        return Reading.SUCCESS if result else Reading.FAILURE
    if isinstance(result, int):
        return Reading.SUCCESS if result in (1, 200) else Reading.FAILURE
    return Reading.UNKNOWN


def reads_as_success(result: object) -> bool:
    """Whether *result* says that a payment was made or is under way."""
    return read_result(result) in (Reading.SUCCESS, Reading.PENDING)


@lru_cache(maxsize=1024)  # a gateway has a handful of results and repeats them all day
def _read(text: str) -> Reading:
    words = _words(text)
    if not words:
        return Reading.UNKNOWN
    if words in _CODES:
        return _CODES[words]
    words = _HARMLESS.sub(" ", words)
    if _FAILED.search(words):
        return Reading.FAILURE
    if _WAITING.search(words):
        return Reading.PENDING
    return Reading.SUCCESS if _SUCCEEDED.search(words) else Reading.FAILURE


def _words(text: str) -> str:
    """*text* as plain words: ``PaymentIntent.succeeded`` is ``payment intent succeeded``."""
    apart = _CAMEL.sub(" ", text.replace("'", "").replace("\u2019", ""))
    plain = "".join(c for c in normalize("NFKD", apart) if not combining(c))
    return _BETWEEN_WORDS.sub(" ", plain.casefold()).strip()
