"""Clients, their contacts, login users and affiliates."""

from tocsin.events.catalogue.model import Category
from tocsin.events.catalogue.things import Thing

_CLIENT = Thing(category=Category.USERS, kind="client", keys=("userid",), noun="Client")
_CONTACT = Thing(category=Category.USERS, kind="contact", keys=("contactid", "userid"), noun="Contact")
_USER = Thing(category=Category.USERS, kind="user", keys=("user_id",), noun="User")
_AFFILIATE = Thing(category=Category.USERS, kind="affiliate", noun="Affiliate")

ROWS = (
    _CLIENT.row("client.created", "ClientAdd", 1, "account created", keys=("client_id", "user_id")),
    _CLIENT.row("client.registered", "ClientAreaRegister", 1, "signed up", keys=("client_id", "user_id")),
    _CLIENT.row("client.edited", "ClientEdit", 1, "details changed"),
    _CLIENT.row("client.password_changed", "ClientChangePassword", 2, "password changed"),
    _CLIENT.row("client.card_updated", "CCUpdate", 1, "stored card changed"),
    _CLIENT.row("client.file_uploaded", "AdminClientFileUpload", 1, "file uploaded by staff"),
    _CLIENT.row("client.merged", "AfterClientMerge", 2, "merged[ with client {fromuserid}]", keys=("toUserID", "fromUserID")),
    _CLIENT.row("client.closed", "ClientClose", 2, "account closed"),
    _CLIENT.row("client.deleting", "PreDeleteClient", 3, "about to be deleted"),
    _CONTACT.row("contact.created", "ContactAdd", 1, "added[ to client {userid}]"),
    _CONTACT.row("contact.edited", "ContactEdit", 1, "details changed[ at client {userid}]"),
    _CONTACT.row("contact.deleted", "ContactDelete", 1, "removed[ from client {userid}]"),
    _USER.row("user.created", "UserAdd", 1, "registered"),
    _USER.row("user.edited", "UserEdit", 1, "details changed"),
    # Here, and only here, userid is the login user and not the client.
    _USER.row("user.password_changed", "UserChangePassword", 2, "password changed", keys=("userid",)),
    _USER.row("user.email_verified", "UserEmailVerificationComplete", 1, "mail address confirmed", keys=("userId",)),
    _USER.row("user.login", "UserLogin", 1, "logged in"),
    _AFFILIATE.row("affiliate.activated", "AffiliateActivation", 1, "activated", keys=("affid", "userid")),
    _AFFILIATE.row(
        "affiliate.withdrawal_requested",
        "AffiliateWithdrawalRequest",
        2,
        "payout requested[, balance {balance}]",
        keys=("affiliateId", "clientId"),
    ),
)

# One client who mistypes a password is no problem; a burst is, and a rule counts it.
DERIVED = (
    _CLIENT.row("client.login_failed", None, 2, title="Client {id}: login failed|Client login failed[ for {username}][ from {ipaddress}]"),
)
