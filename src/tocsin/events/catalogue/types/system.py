"""WHMCS itself: staff, cron, catalogue settings, the activity log, and the bridge."""

from tocsin.core.severity import Severity
from tocsin.events.catalogue.model import Category, Condition
from tocsin.events.catalogue.things import Thing

_ADMIN = Thing(category=Category.SYSTEM, kind="admin", keys=("adminid",), noun="Admin", called="username")
_PRODUCT = Thing(category=Category.SYSTEM, kind="product", keys=("pid",), noun="Product")
_PRODUCT_ADDON = Thing(category=Category.SYSTEM, kind="product_addon", keys=("id",), noun="Product addon")
_TLD = Thing(category=Category.SYSTEM, kind="tld", keys=("tld",), noun="Domain extension")
_LOG = Thing(category=Category.SYSTEM, kind="client", keys=("userid", "ipaddress"), noun="Activity log")
_WHMCS = Thing(category=Category.SYSTEM)
_DAILY = Thing(category=Category.SYSTEM, kind="cron")
_HEALTH = Thing(category=Category.SYSTEM, kind="health", keys=("check",), noun="Health check")
_SERVER = Thing(category=Category.SERVERS, kind="server", keys=("serverid",), noun="Server")
_EXPORTER = Thing(category=Category.SERVERS, kind="exporter", keys=("exporter",), noun="Exporter")
_METRIC = Thing(category=Category.SERVERS, kind="metric", keys=("metric",), noun="Metric")
_FAILED_ADMIN = Thing(category=Category.SYSTEM, kind="admin", keys=("username",), noun="Admin")

ROWS = (
    _ADMIN.row(
        "system.admin_login",
        "AdminLogin",
        2,
        "logged in",
        keys=("adminid", "username"),
        when=Condition.UNUSUAL_LOGIN,
        says_when="logged in from an unusual place or at an unusual hour",
    ),
    _ADMIN.row("system.admin_logout", "AdminLogout", 1, "logged out"),
    _WHMCS.row("system.cron_daily_completed", "DailyCronJob", 1, title="Daily cron completed"),
    _WHMCS.row(
        "system.mail_collection_completed",
        "PopEmailCollectionCronCompleted",
        1,
        title="Ticket mail collected",
        when=Condition.MAIL_ERRORS,
        title_when="Ticket mail collection failed to connect",
        recovers=("system.mail_collection_completed",),
    ),
    _LOG.row(
        "system.activity",
        "LogActivity",
        1,
        title="Activity log entry[: {description}]",
        when=Condition.LOG_MATCH,
        title_when="Activity log matches {pattern}[: {description}]",
    ),
    _WHMCS.row("system.addon_module_config_saved", "AddonModuleConfigSave", 2, title="Addon module settings saved"),
    _PRODUCT_ADDON.row("system.addon_config_saved", "AddonConfigSave", 1, "settings saved"),
    _PRODUCT_ADDON.row("system.product_addon_deleted", "ProductAddonDelete", 3, "deleted", keys=("addonId",)),
    _PRODUCT.row("system.product_edited", "ProductEdit", 2, "saved[ ({name})]"),
    _PRODUCT.row("system.product_deleted", "ProductDelete", 3, "deleted"),
    _TLD.row("system.tld_added", "TopLevelDomainAdd", 1, "added"),
    _TLD.row("system.tld_updated", "TopLevelDomainUpdate", 1, "settings changed", keys=("modifiedTlds",)),
    _TLD.row("system.tld_pricing_updated", "TopLevelDomainPricingUpdate", 2, "prices changed"),
    _TLD.row("system.tld_deleted", "TopLevelDomainDelete", 2, "removed"),
)

DERIVED = (
    # A successful login resolves none of these: it may be the attacker's.
    _FAILED_ADMIN.row("system.two_factor_failed", None, 3, "second factor refused"),
    _FAILED_ADMIN.row("admin.login_failed", None, 3, "login failed[ from {ipaddress}]"),
    _WHMCS.row("system.address_banned", None, 3, title="WHMCS banned an address[: {description}]"),
    _WHMCS.row("system.database_error", None, 4, title="WHMCS reports a database error[: {description}]"),
    _WHMCS.row("system.license_problem", None, 4, title="WHMCS reports a license problem[: {description}]"),
    _WHMCS.row("system.cron_error", None, 4, title="WHMCS cron reports an error[: {description}]"),
    _WHMCS.row("system.module_error", None, 3, title="WHMCS reports a module error[: {description}]"),
    _WHMCS.row("system.mail_failed", None, 3, title="WHMCS failed to send a mail[: {description}]"),
    _WHMCS.row("system.maintenance_started", None, 3, title="WHMCS is in maintenance mode", severity=Severity.MEDIUM),
    _WHMCS.row(
        "system.maintenance_ended",
        None,
        1,
        title="WHMCS is out of maintenance mode",
        severity=Severity.INFO,
        recovers=("system.maintenance_started",),
    ),
    _WHMCS.row(
        "bridge.spool_dropped",
        None,
        3,
        title="Bridge dropped {dropped} events from a full spool|Bridge dropped events from a full spool",
        severity=Severity.MEDIUM,
    ),
    _DAILY.row("whmcs.cron_overdue", None, 4, title="The daily cron of WHMCS is overdue", severity=Severity.HIGH),
    _HEALTH.row("whmcs.health_check", None, 3, title="WHMCS finds a fault with itself[: {id}]", severity=Severity.MEDIUM),
    _WHMCS.row("whmcs.module_queue_stuck", None, 3, title="Failed module actions wait", severity=Severity.MEDIUM),
    _SERVER.row("whmcs.server_full", None, 3, "nearly full", severity=Severity.MEDIUM),
    _ADMIN.row("whmcs.admin_added", None, 4, "new", severity=Severity.HIGH),
    _ADMIN.row("whmcs.admin_role_changed", None, 4, "role changed", severity=Severity.HIGH),
    _ADMIN.row("whmcs.admin_two_factor_removed", None, 4, "second factor removed", severity=Severity.HIGH),
    _ADMIN.row("whmcs.admin_enabled", None, 3, "enabled again", severity=Severity.MEDIUM),
    _EXPORTER.row("exporter.down", None, 3, "does not answer", severity=Severity.MEDIUM),
    _METRIC.row("metric.above", None, 3, "above its threshold", severity=Severity.MEDIUM),
    _METRIC.row("metric.below", None, 3, "below its threshold", severity=Severity.MEDIUM),
    _METRIC.row("metric.no_data", None, 3, "sends no values", severity=Severity.MEDIUM),
    _WHMCS.row("whmcs.metrics", None, 1, title="WHMCS metrics received", severity=Severity.INFO),
)
