"""Services, addons, licences, domains, servers and network issues."""

from tocsin.events.catalogue.model import Category, Condition, SubjectKey
from tocsin.events.catalogue.things import Thing

_SERVICE = Thing(category=Category.SERVERS, kind="service", keys=("serviceid",), noun="Service")
_ADDON = Thing(category=Category.SERVERS, kind="addon", keys=("id", "serviceid", "userid"), noun="Addon")
_UPGRADE = Thing(category=Category.SERVERS, kind="upgrade", keys=("upgradeid",), noun="Upgrade")
_LICENSE = Thing(category=Category.SERVERS, kind="license", keys=("licenseid", "serviceid"), noun="License")
_DOMAIN = Thing(
    category=Category.SERVERS,
    kind="domain",
    keys=("domainid",),
    elsewhere=(SubjectKey("domain", "domain"),),
    noun="Domain",
    called="domain",
)
_SERVER = Thing(category=Category.SERVERS, kind="server", keys=("serverid",), noun="Server")
_ISSUE = Thing(category=Category.SERVERS, kind="network_issue", keys=("id",), noun="Network issue")

_SERVICE_FAILURES = (
    "service.provision_failed",
    "service.suspend_failed",
    "service.unsuspend_failed",
    "service.package_change_failed",
    "service.password_change_failed",
    "service.custom_command_failed",
)
_FEATURE_FAILURES = (
    "addon_feature.provision_failed",
    "addon_feature.suspend_failed",
    "addon_feature.unsuspend_failed",
)
# With the account gone, what failed on it is moot and the customer's wish is done.
_GONE = (
    *_SERVICE_FAILURES,
    "service.terminate_failed",
    "service.cancellation_requested",
    *_FEATURE_FAILURES,
    "addon_feature.deprovision_failed",
)

_SERVICES = (
    _SERVICE.row("service.provisioned", "AfterModuleCreate", 1, "created[ on server {serverid}]", recovers=("service.provision_failed",)),
    _SERVICE.row("service.provision_failed", "AfterModuleCreateFailed", 4, "creation failed[ on server {serverid}]"),
    # A new suspension, or its end, is the last word on an earlier attempt at either.
    _SERVICE.row(
        "service.suspended",
        "AfterModuleSuspend",
        2,
        "suspended[ on server {serverid}]",
        recovers=("service.suspend_failed", "service.unsuspend_failed"),
    ),
    _SERVICE.row("service.suspend_failed", "AfterModuleSuspendFailed", 4, "suspension failed[ on server {serverid}]"),
    _SERVICE.row(
        "service.unsuspended",
        "AfterModuleUnsuspend",
        1,
        "unsuspended[ on server {serverid}]",
        recovers=("service.unsuspend_failed", "service.suspend_failed"),
    ),
    _SERVICE.row("service.unsuspend_failed", "AfterModuleUnsuspendFailed", 4, "unsuspension failed[ on server {serverid}]"),
    _SERVICE.row("service.terminated", "AfterModuleTerminate", 3, "terminated[ on server {serverid}]", recovers=_GONE),
    _SERVICE.row("service.terminate_failed", "AfterModuleTerminateFailed", 4, "termination failed[ on server {serverid}]"),
    _SERVICE.row(
        "service.package_changed",
        "AfterModuleChangePackage",
        1,
        "package changed[ on server {serverid}]",
        recovers=("service.package_change_failed",),
    ),
    _SERVICE.row("service.package_change_failed", "AfterModuleChangePackageFailed", 4, "package change failed[ on server {serverid}]"),
    _SERVICE.row(
        "service.password_changed",
        "AfterModuleChangePassword",
        1,
        "password changed",
        recovers=("service.password_change_failed",),
    ),
    _SERVICE.row("service.password_change_failed", "AfterModuleChangePasswordFailed", 3, "password change failed[ on server {serverid}]"),
    _SERVICE.row(
        "service.custom_command_done",
        "AfterModuleCustom",
        1,
        "module command done[ on server {serverid}]",
        recovers=("service.custom_command_failed",),
    ),
    _SERVICE.row("service.custom_command_failed", "AfterModuleCustomFailed", 3, "module command failed[ on server {serverid}]"),
    _SERVICE.row(
        "service.cancellation_requested",
        "CancellationRequest",
        3,
        "cancellation requested[ by client {userid}]",
        keys=("relid", "userid"),
    ),
    _SERVICE.row("service.edited", "ServiceEdit", 1, "changed", keys=("serviceid", "userid")),
    _SERVICE.row("service.edited_by_staff", "AdminServiceEdit", 1, "changed by staff", keys=("serviceid", "userid")),
    _SERVICE.row("service.deleted", "ServiceDelete", 3, "record deleted", keys=("serviceid", "clientId"), recovers=_GONE),
    _SERVICE.row(
        "service.recurring_limit_reached",
        "ServiceRecurringCompleted",
        2,
        "limit of billing cycles reached[ after {recurringinvoices} invoices]",
    ),
    _UPGRADE.row("service.upgraded", "AfterProductUpgrade", 1, title="Upgrade {id}: product changed|Product upgrade done"),
    _UPGRADE.row(
        "service.config_options_upgraded",
        "AfterConfigOptionsUpgrade",
        1,
        title="Upgrade {id}: configurable options changed|Upgrade of configurable options done",
    ),
)

_ADDON_FEATURES = (
    _SERVICE.row(
        "addon_feature.provisioned",
        "AfterModuleProvisionAddOnFeature",
        1,
        "addon feature set up",
        recovers=("addon_feature.provision_failed",),
    ),
    _SERVICE.row(
        "addon_feature.provision_failed",
        "AfterModuleProvisionAddOnFeatureFailed",
        4,
        "addon feature set-up failed[ on server {serverid}]",
    ),
    _SERVICE.row(
        "addon_feature.deprovisioned",
        "AfterModuleDeprovisionAddOnFeature",
        1,
        "addon feature removed",
        recovers=("addon_feature.deprovision_failed", *_FEATURE_FAILURES),
    ),
    _SERVICE.row(
        "addon_feature.deprovision_failed",
        "AfterModuleDeprovisionAddOnFeatureFailed",
        4,
        "addon feature removal failed[ on server {serverid}]",
    ),
    _SERVICE.row(
        "addon_feature.suspended",
        "AfterModuleSuspendAddOnFeature",
        2,
        "addon feature suspended",
        recovers=("addon_feature.suspend_failed", "addon_feature.unsuspend_failed"),
    ),
    _SERVICE.row(
        "addon_feature.suspend_failed",
        "AfterModuleSuspendAddOnFeatureFailed",
        4,
        "addon feature suspension failed[ on server {serverid}]",
    ),
    _SERVICE.row(
        "addon_feature.unsuspended",
        "AfterModuleUnsuspendAddOnFeature",
        1,
        "addon feature unsuspended",
        recovers=("addon_feature.unsuspend_failed", "addon_feature.suspend_failed"),
    ),
    _SERVICE.row(
        "addon_feature.unsuspend_failed",
        "AfterModuleUnsuspendAddOnFeatureFailed",
        4,
        "addon feature unsuspension failed[ on server {serverid}]",
    ),
)

_ADDONS = (
    _ADDON.row("addon.added", "AddonAdd", 1, "added[ to service {serviceid}]"),
    _ADDON.row("addon.activated", "AddonActivated", 1, "activated[ on service {serviceid}]", recovers=("addon.fraud",)),
    _ADDON.row("addon.edited", "AddonEdit", 1, "changed[ on service {serviceid}]"),
    _ADDON.row("addon.renewed", "AddonRenewal", 1, "renewed[ on service {serviceid}]"),
    _ADDON.row("addon.suspended", "AddonSuspended", 2, "suspended[ on service {serviceid}]"),
    _ADDON.row("addon.unsuspended", "AddonUnsuspended", 1, "unsuspended[ on service {serviceid}]"),
    _ADDON.row("addon.cancelled", "AddonCancelled", 2, "cancelled[ on service {serviceid}]", recovers=("addon.fraud",)),
    _ADDON.row("addon.terminated", "AddonTerminated", 3, "terminated[ on service {serviceid}]", recovers=("addon.fraud",)),
    _ADDON.row("addon.deleted", "AddonDeleted", 2, "record deleted", keys=("id",), recovers=("addon.fraud",)),
    _ADDON.row("addon.fraud", "AddonFraud", 3, "marked as fraud[ on service {serviceid}]"),
    _UPGRADE.row("addon.upgraded", "AfterAddonUpgrade", 1, title="Upgrade {id}: addon changed|Addon upgrade done"),
    _LICENSE.row("license.reissued", "LicensingAddonReissue", 2, "reissued[ for service {serviceid}]"),
)

_DOMAIN_FAILURES = (
    "domain.registration_failed",
    "domain.renewal_failed",
    "domain.transfer_failed",
    "domain.transfer_submit_failed",
    "domain.contacts_changed",
    "domain.dns_changed",
    "domain.nameservers_changed",
)
_TRANSFER_FAILURES = ("domain.transfer_submit_failed", "domain.transfer_failed")

_DOMAINS = (
    _DOMAIN.row("domain.registered", "AfterRegistrarRegistration", 1, "registered", recovers=("domain.registration_failed",)),
    _DOMAIN.row("domain.registration_failed", "AfterRegistrarRegistrationFailed", 4, "registration failed"),
    _DOMAIN.row("domain.renewed", "AfterRegistrarRenewal", 1, "renewed", recovers=("domain.renewal_failed",)),
    _DOMAIN.row("domain.renewal_failed", "AfterRegistrarRenewalFailed", 4, "renewal failed"),
    # Runs on failure too, next to the failure's own hook: the same problem, counted twice, paged once.
    _DOMAIN.row(
        "domain.transfer_submitted",
        "AfterRegistrarTransfer",
        1,
        "transfer submitted",
        when=Condition.REGISTRAR_FAILED,
        becomes="domain.transfer_submit_failed",
        recovers=_TRANSFER_FAILURES,
    ),
    _DOMAIN.row("domain.transfer_submit_failed", "AfterRegistrarTransferFailed", 4, "transfer refused by the registrar"),
    _DOMAIN.row(
        "domain.transfer_completed",
        "DomainTransferCompleted",
        1,
        "transfer completed",
        keys=("domainId", "domain"),
        recovers=_TRANSFER_FAILURES,
    ),
    _DOMAIN.row("domain.transfer_failed", "DomainTransferFailed", 4, "transfer failed", keys=("domainId", "domain")),
    # The next write that works ends the one that did not.
    _DOMAIN.row(
        "domain.contacts_changed",
        "AfterRegistrarSaveContactDetails",
        2,
        "contacts changed at the registrar",
        when=Condition.REGISTRAR_FAILED,
        says_when="contact change failed at the registrar",
        recovers=("domain.contacts_changed",),
    ),
    _DOMAIN.row(
        "domain.dns_changed",
        "AfterRegistrarSaveDNS",
        2,
        "DNS records changed at the registrar",
        when=Condition.REGISTRAR_FAILED,
        says_when="DNS record change failed at the registrar",
        recovers=("domain.dns_changed",),
    ),
    _DOMAIN.row(
        "domain.nameservers_changed",
        "AfterRegistrarSaveNameservers",
        3,
        "name servers changed at the registrar",
        when=Condition.REGISTRAR_FAILED,
        says_when="name server change failed at the registrar",
        recovers=("domain.nameservers_changed",),
    ),
    # Signs of a hijack: routine must not resolve them, a person does.
    _DOMAIN.row("domain.epp_code_requested", "AfterRegistrarGetEPPCode", 3, "transfer code fetched from the registrar"),
    _DOMAIN.row("domain.delete_requested", "AfterRegistrarRequestDelete", 4, "deletion requested at the registrar"),
    _DOMAIN.row("domain.edited", "DomainEdit", 1, "changed by staff", keys=("domainid", "userid")),
    _DOMAIN.row("domain.deleted", "DomainDelete", 3, "record deleted", keys=("domainid", "userid"), recovers=_DOMAIN_FAILURES),
)

_ISSUE_OVER = ("network_issue.opened",)

_SERVERS = (
    _SERVER.row("server.added", "ServerAdd", 2, "added"),
    _SERVER.row("server.edited", "ServerEdit", 2, "settings changed"),
    _SERVER.row("server.deleted", "ServerDelete", 3, "removed"),
    _ISSUE.row(
        "network_issue.opened",
        "NetworkIssueAdd",
        4,
        title="Network issue {id} opened: {title}|Network issue {id}: opened|Network issue opened[: {title}]",
    ),
    _ISSUE.row("network_issue.reopened", "NetworkIssueReopen", 4, "opened again", problem="network_issue.opened"),
    _ISSUE.row("network_issue.edited", "NetworkIssueEdit", 2, "changed[ ({title})]"),
    _ISSUE.row("network_issue.resolved", "NetworkIssueClose", 1, "resolved", recovers=_ISSUE_OVER),
    _ISSUE.row("network_issue.deleted", "NetworkIssueDelete", 1, "deleted", recovers=_ISSUE_OVER),
)

ROWS = (*_SERVICES, *_ADDON_FEATURES, *_ADDONS, *_DOMAINS, *_SERVERS)
