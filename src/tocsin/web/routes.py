"""Every page, on one page. Loaded when the first of them is asked for (`asgi.py`)."""

from tocsin.web.alerts.acting import AlertDeeds
from tocsin.web.alerts.one import AlertPage
from tocsin.web.alerts.page import AlertsPage
from tocsin.web.analytics.page import AnalyticsPage
from tocsin.web.checks.availability import AvailabilityPage
from tocsin.web.checks.page import CheckPages
from tocsin.web.design import DesignPage
from tocsin.web.events.origins import OriginPages
from tocsin.web.events.page import EventsPages
from tocsin.web.explore.page import ExplorePages
from tocsin.web.heartbeats.page import HeartbeatPages
from tocsin.web.hosts.page import HostPages
from tocsin.web.links import LinkPages
from tocsin.web.login import LoginPages
from tocsin.web.oncall.covering import CoverPages
from tocsin.web.oncall.editing import SchedulePages
from tocsin.web.oncall.page import OnCallPage
from tocsin.web.oncall.swapping import SwapPages
from tocsin.web.oncall.teams import TeamPages
from tocsin.web.overview.page import OverviewPage
from tocsin.web.passes import PassPages
from tocsin.web.phone import PhoneFiles
from tocsin.web.policies.page import PolicyPages
from tocsin.web.quiet.depending import DependencyPages
from tocsin.web.quiet.page import QuietPages
from tocsin.web.ruling.page import RulePages
from tocsin.web.settings.audit import AuditPages
from tocsin.web.settings.channels import ChannelPages
from tocsin.web.settings.contacts import OwnContactPages, PersonContactPages
from tocsin.web.settings.exporters import ExporterPages
from tocsin.web.settings.health import HealthPage
from tocsin.web.settings.keys import KeyPages
from tocsin.web.settings.me import MePages, SettingsPage
from tocsin.web.settings.people import PeoplePages
from tocsin.web.settings.sites import SitePages
from tocsin.web.settings.thresholds import ThresholdPages
from tocsin.web.start import StartPages
from tocsin.web.welcome import WelcomePages

PAGES = (
    StartPages,
    LinkPages,
    OverviewPage,
    PhoneFiles,
    AlertsPage,
    AlertDeeds,
    AlertPage,
    EventsPages,
    AnalyticsPage,
    OriginPages,
    OnCallPage,
    CoverPages,
    SwapPages,
    SchedulePages,
    PolicyPages,
    AvailabilityPage,
    CheckPages,
    HeartbeatPages,
    HostPages,
    ExplorePages,
    ThresholdPages,
    ExporterPages,
    DependencyPages,
    TeamPages,
    QuietPages,
    RulePages,
    WelcomePages,
    ChannelPages,
    HealthPage,
    SitePages,
    DesignPage,
    LoginPages,
    PassPages,
    SettingsPage,
    MePages,
    OwnContactPages,
    PersonContactPages,
    PeoplePages,
    KeyPages,
    AuditPages,
)
