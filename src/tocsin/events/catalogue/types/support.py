"""Tickets and announcements."""

from tocsin.events.catalogue.model import Category, Condition
from tocsin.events.catalogue.things import Thing

_TICKET = Thing(category=Category.SUPPORT, kind="ticket", keys=("ticketid",), noun="Ticket")
_ANNOUNCEMENT = Thing(category=Category.SUPPORT, kind="announcement", keys=("announcementid",), noun="Announcement")

# The customer has an answer.
_ANSWERED = ("ticket.opened", "ticket.client_replied")
# Nothing of this ticket waits for anybody.
_OVER = (*_ANSWERED, "ticket.priority_changed", "ticket.flagged")

ROWS = (
    _TICKET.row(
        "ticket.opened",
        "TicketOpen",
        2,
        "opened[ as {ticketmask}][ in {deptname}][, priority {priority}]",
        keys=("ticketid", "ticketmask"),
        when=Condition.URGENT_TICKET,
    ),
    _TICKET.row(
        "ticket.opened_by_staff",
        "TicketOpenAdmin",
        1,
        "opened by staff[ as {ticketmask}][ in {deptname}][, priority {priority}]",
        keys=("ticketid", "ticketmask"),
    ),
    _TICKET.row(
        "ticket.client_replied",
        "TicketUserReply",
        2,
        "answered by the customer[ in {deptname}][, priority {priority}]",
        keys=("ticketid", "replyid"),
        when=Condition.URGENT_TICKET,
    ),
    _TICKET.row(
        "ticket.staff_replied",
        "TicketAdminReply",
        1,
        "answered by staff[ in {deptname}]",
        keys=("ticketid", "replyid"),
        recovers=_ANSWERED,
    ),
    _TICKET.row("ticket.note_added", "TicketAddNote", 1, "private note added"),
    _TICKET.row("ticket.flagged", "TicketFlagged", 3, "flagged[ for {adminname}]"),
    # Back to a lower priority, and the earlier rise is over.
    _TICKET.row(
        "ticket.priority_changed",
        "TicketPriorityChange",
        2,
        "priority changed[ to {priority}]",
        when=Condition.HIGH_PRIORITY,
        recovers=("ticket.priority_changed",),
    ),
    _TICKET.row("ticket.department_changed", "TicketDepartmentChange", 1, "moved to another department[ ({deptname})]"),
    _TICKET.row("ticket.status_changed", "TicketStatusChange", 1, "status changed by staff[ to {status}]"),
    _TICKET.row("ticket.subject_changed", "TicketSubjectChange", 1, "subject line changed"),
    _TICKET.row("ticket.split", "TicketSplit", 1, "split[, new ticket {newticketid}]", keys=("originalTicketId", "newTicketID")),
    _TICKET.row("ticket.merged", "TicketMerge", 1, "merged with others", keys=("masterTicketId",)),
    _TICKET.row("ticket.closed", "TicketClose", 1, "closed", recovers=_OVER),
    _TICKET.row("ticket.deleted", "TicketDelete", 2, "deleted[ by admin {adminid}]", keys=("ticketId",), recovers=_OVER),
    _TICKET.row("ticket.reply_deleted", "TicketDeleteReply", 1, "reply deleted[ by admin {adminid}]", keys=("ticketId", "replyId")),
    _ANNOUNCEMENT.row("support.announcement_added", "AnnouncementAdd", 1, "posted[ ({title})]"),
    _ANNOUNCEMENT.row("support.announcement_edited", "AnnouncementEdit", 1, "changed[ ({title})]"),
)
