"""The whole catalogue as WHMCS and Tocsin know it, before any site's changes."""

from tocsin.events.catalogue.model import ActivityPattern, CatalogueRow, HookMetric
from tocsin.events.catalogue.types import checks, hosts, invoices, jobs, orders, servers, support, system, users

# One row for each hook that is forwarded as an event.
HOOK_ROWS: tuple[CatalogueRow, ...] = (
    *users.ROWS,
    *orders.ROWS,
    *invoices.ROWS,
    *support.ROWS,
    *servers.ROWS,
    *system.ROWS,
)

# What no hook says: read out of other events, or told by the bridge about itself.
DERIVED_ROWS: tuple[CatalogueRow, ...] = (
    *users.DERIVED,
    *invoices.DERIVED,
    *system.DERIVED,
    *checks.DERIVED,
    *jobs.DERIVED,
    *hosts.DERIVED,
)

ROWS: tuple[CatalogueRow, ...] = (*HOOK_ROWS, *DERIVED_ROWS)

# The texts are documented nowhere and differ by version: wide nets, the most telling first, the first match counts.
# The names are also those that the bridge sends for the lines it matched itself.
DEFAULT_PATTERNS: tuple[ActivityPattern, ...] = (
    ActivityPattern(
        "two_factor_failed",
        r"(?:two.?factor|2fa|second.factor|backup.code).{0,60}(?:fail|invalid|incorrect|wrong|denied|refused)"
        r"|(?:fail|invalid|incorrect|wrong|denied|refused).{0,60}(?:two.?factor|2fa|second.factor|backup.code)",
        "system.two_factor_failed",
    ),
    # As WHMCS writes it, with the name; the second takes what others make of it.
    ActivityPattern(
        "admin_login_failed",
        r"(?:failed|invalid|unsuccessful) admin log.?in(?: attempt)?\W{1,5}(?:user.?name\W{1,3})?(?P<username>[^\s,;]{1,60})?",
        "admin.login_failed",
    ),
    ActivityPattern(
        "admin_login_failed_other",
        r"(?:fail|invalid|incorrect|unsuccessful|denied|wrong).{0,40}admin.{0,20}(?:log.?in|sign.?in|password)"
        r"|admin.{0,20}(?:log.?in|sign.?in|password).{0,40}(?:fail|invalid|incorrect|unsuccessful|denied|wrong|banned)",
        "admin.login_failed",
    ),
    ActivityPattern(
        "client_login_failed",
        r"(?:fail|invalid|incorrect|unsuccessful|denied).{0,40}(?:log.?in|sign.?in)"
        r"|(?:log.?in|sign.?in).{0,40}(?:fail|invalid|incorrect|unsuccessful|denied)",
        "client.login_failed",
    ),
    ActivityPattern("address_banned", r"\bbann(?:ed|ing)\b", "system.address_banned"),
    ActivityPattern(
        "payment_failed",
        r"(?:payment|capture|charge|transaction|card).{0,30}(?:fail|declin|refus)(?:.{0,20}invoice(?: id)?\W{1,3}(?P<invoiceid>\d{1,9}))?",
        "invoice.payment_failed",
    ),
    ActivityPattern(
        "mail_failed",
        r"\be?.?mail.{0,60}(?:fail|error|could not|not sent|rejected)|smtp.{0,60}(?:fail|error|could not|refused|rejected)",
        "system.mail_failed",
    ),
    ActivityPattern(
        "database_error",
        r"sqlstate|(?:database|mysql|mariadb).{0,60}(?:fail|error|gone away|denied|lost)",
        "system.database_error",
    ),
    ActivityPattern(
        "licence_problem",
        r"licen[cs]e.{0,60}(?:fail|invalid|expired|suspended)|(?:invalid|expired|suspended) licen[cs]e",
        "system.license_problem",
    ),
    ActivityPattern(
        "cron_error",
        r"(?:cron|automated task|automation|scheduled task).{0,80}(?:fail|error|exception|abort|timed? ?out|memory)",
        "system.cron_error",
    ),
    ActivityPattern(
        "module_error",
        r"(?:module|provision|registrar|server command).{0,80}(?:fail|error|exception|timed? ?out)",
        "system.module_error",
    ),
)

METRICS: tuple[HookMetric, ...] = (
    HookMetric("PreCronJob", "whmcs.cron.daily_started", "runs", "the daily automation starts", heartbeat=True),
    HookMetric("AfterCronJob", "whmcs.cron.run_finished", "runs", "a cron run ended", heartbeat=True),
    HookMetric("PreAutomationTask", "whmcs.cron.task_started", "tasks", "an automation task starts"),
    HookMetric("PostAutomationTask", "whmcs.cron.task_finished", "tasks", "an automation task ended"),
    HookMetric("PreInvoicingGenerateInvoiceItems", "whmcs.invoicing.run_started", "runs", "invoice generation starts"),
    HookMetric("AfterInvoicingGenerateInvoiceItems", "whmcs.invoicing.run_finished", "runs", "invoice generation ended"),
    HookMetric("PreShoppingCartCheckout", "whmcs.checkout.started", "checkouts", "a checkout starts"),
    HookMetric("AfterFraudCheck", "whmcs.fraud.checks", "checks", "a fraud check ended with any verdict"),
    HookMetric("AfterRegistrarRegister", "whmcs.registrar.register", "calls", "a registration call to a registrar ended"),
    HookMetric("AfterRegistrarRenew", "whmcs.registrar.renew", "calls", "a renewal call to a registrar ended"),
    HookMetric("AfterRegistrarGetContactDetails", "whmcs.registrar.get_contacts", "calls", "contacts were read from a registrar"),
    HookMetric("AfterRegistrarGetDNS", "whmcs.registrar.get_dns", "calls", "DNS records were read from a registrar"),
    HookMetric("AfterRegistrarGetNameservers", "whmcs.registrar.get_nameservers", "calls", "name servers were read from a registrar"),
    HookMetric("EmailPreSend", "whmcs.mail.sending", "mails", "a mail is about to be sent"),
    HookMetric("EmailPreLog", "whmcs.mail.logged", "mails", "a mail is about to be logged"),
    HookMetric("TicketPiping", "whmcs.tickets.mail_imported", "mails", "a mail is being turned into a ticket"),
    HookMetric("UserLogout", "whmcs.user.logouts", "logouts", "a user logged out"),
    HookMetric("LicensingAddonVerify", "whmcs.licensing.verify", "calls", "a sold licence was verified"),
    HookMetric("FileDownload", "whmcs.downloads", "downloads", "a download was served"),
    HookMetric("AffiliateClickthru", "whmcs.affiliate.clicks", "clicks", "an affiliate link was followed"),
    HookMetric("LinkTracker", "whmcs.links.followed", "clicks", "a tracked link was followed"),
)
