"""Orders, from checkout to payment. Most hooks run before the change, so the titles say what is being done."""

from tocsin.events.catalogue.model import Category, SubjectKey
from tocsin.events.catalogue.things import Thing

_ORDER = Thing(category=Category.ORDERS, kind="order", keys=("orderid",), noun="Order")
_CHECKED = ("orderid", "invoiceid")

# Somebody has decided what becomes of a suspicious order.
_DECIDED = ("order.fraud", "order.fraud_check_failed")

ROWS = (
    _ORDER.row("order.created", "AfterShoppingCartCheckout", 2, "placed[, {totaldue} due]", keys=("OrderID", "OrderNumber", "InvoiceID")),
    _ORDER.row("order.accepted", "AcceptOrder", 1, "being accepted", recovers=_DECIDED),
    _ORDER.row("order.set_pending", "PendingOrder", 2, "being set back to pending", recovers=_DECIDED),
    _ORDER.row("order.cancelled", "CancelOrder", 2, "being cancelled", recovers=_DECIDED),
    _ORDER.row("order.cancel_refund_requested", "CancelAndRefundOrder", 3, "being cancelled and refunded", recovers=_DECIDED),
    _ORDER.row("order.deleting", "DeleteOrder", 3, "about to be deleted", recovers=_DECIDED),
    # InvoicePaid comes as well; whoever switched that one off still has the recovery.
    _ORDER.row(
        "order.paid",
        "OrderPaid",
        1,
        "paid[ with invoice {invoiceid}]",
        keys=("orderId", "userId", "invoiceId"),
        recovers=("invoice.payment_failed", "invoice.reminder_sent", "invoice.unpaid"),
        recovers_on=(SubjectKey("invoice", "invoiceid"),),
    ),
    _ORDER.row("order.fraud", "FraudOrder", 4, "being marked as fraud"),
    _ORDER.row("order.fraud_check_failed", "FraudCheckFailed", 4, "fraud check failed", keys=_CHECKED),
    _ORDER.row(
        "order.fraud_check_passed",
        "FraudCheckPassed",
        1,
        "fraud check passed",
        keys=_CHECKED,
        recovers=("order.fraud_check_failed",),
    ),
    _ORDER.row("order.fraud_check_waiting", "FraudCheckAwaitingUserInput", 2, "fraud check waits for the customer", keys=_CHECKED),
)
