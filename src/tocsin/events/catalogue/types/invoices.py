"""Invoices, payments, gateways and quotes."""

from tocsin.events.catalogue.model import Category, Condition, SubjectKey
from tocsin.events.catalogue.things import Thing

_INVOICE = Thing(category=Category.INVOICES, kind="invoice", keys=("invoiceid",), noun="Invoice")
_TRANSACTION = Thing(category=Category.INVOICES, kind="transaction", noun="Transaction")
_GATEWAY = Thing(category=Category.INVOICES, kind="gateway", keys=("gateway",), noun="Gateway")
_QUOTE = Thing(category=Category.INVOICES, kind="quote", keys=("quoteid",), noun="Quote")
# A refusal belongs to its invoice; where nobody said which, to the gateway or the client.
_PAYMENT = Thing(
    category=Category.INVOICES,
    kind="invoice",
    keys=("invoiceid",),
    elsewhere=(SubjectKey("gateway", "gateway"), SubjectKey("client", "userid")),
)

# Nobody waits for this money any more.
_SETTLED = ("invoice.payment_failed", "invoice.reminder_sent", "invoice.unpaid")

ROWS = (
    _INVOICE.row("invoice.created", "InvoiceCreated", 1, "created"),
    _INVOICE.row("invoice.paid", "InvoicePaid", 1, "paid", recovers=_SETTLED),
    # Part payments fire this too: the refusal is over, the debt may not be.
    _INVOICE.row("invoice.payment_applied", "AddInvoicePayment", 1, "payment applied", recovers=("invoice.payment_failed",)),
    _INVOICE.row("invoice.cancelled", "InvoiceCancelled", 2, "cancelled", recovers=_SETTLED),
    _INVOICE.row("invoice.refunded", "InvoiceRefunded", 3, "refunded", recovers=_SETTLED),
    _INVOICE.row("invoice.unpaid", "InvoiceUnpaid", 3, "set back to unpaid"),
    _INVOICE.row("invoice.late_fee_added", "AddInvoiceLateFee", 2, "late fee added"),
    _INVOICE.row("invoice.gateway_changed", "InvoiceChangeGateway", 1, "payment method changed[ to {paymentmethod}]"),
    _INVOICE.row(
        "invoice.reminder_sent",
        "InvoicePaymentReminder",
        2,
        "payment reminder sent",
        when=Condition.LATE_REMINDER,
        says_when="second or third overdue notice sent",
    ),
    _INVOICE.row("invoice.split", "InvoiceSplit", 1, "split[, new invoice {newinvoiceid}]", keys=("originalinvoiceid", "newinvoiceid")),
    _TRANSACTION.row(
        "transaction.created",
        "AddTransaction",
        1,
        "recorded[ for invoice {invoiceid}][ through {gateway}]",
        keys=("id", "userid", "invoiceid"),
        when=Condition.MONEY_OUT,
        says_when="money paid out[ for invoice {invoiceid}][ through {gateway}]",
    ),
    _TRANSACTION.row("transaction.manual_refund", "ManualRefund", 3, "refunded by hand[, amount {amount}]", keys=("transid",)),
    _GATEWAY.row(
        "gateway.callback_logged",
        "LogTransaction",
        1,
        title="Gateway {id}: callback logged[ for invoice {invoiceid}][, result {result}]|Gateway callback logged[, result {result}]",
        when=Condition.PAYMENT_REFUSED,
        becomes="invoice.payment_failed",
        recovers=("invoice.payment_failed",),
        recovers_on=(SubjectKey("invoice", "invoiceid"),),
    ),
    _QUOTE.row("quote.created", "QuoteCreated", 1, "created"),
    _QUOTE.row("quote.status_changed", "QuoteStatusChange", 1, "status changed[ to {status}]"),
    _QUOTE.row("quote.accepted", "AcceptQuote", 2, "accepted by the client"),
)

DERIVED = (
    _PAYMENT.row(
        "invoice.payment_failed",
        None,
        4,
        title="Invoice {id}: payment refused[ by {gateway}]|Payment refused[ by {gateway}][, client {userid}]",
    ),
)
