"""Every route of the API, on one page. Loaded when the first of them is asked for (`asgi.py`)."""

from litestar import Router

from tocsin.api.alerts import AlertsApi
from tocsin.api.analytics import AnalyticsApi
from tocsin.api.audit import AuditApi
from tocsin.api.availability import AvailabilityApi
from tocsin.api.callbacks import CallbacksApi
from tocsin.api.channels import ChannelsApi
from tocsin.api.checks import ChecksApi
from tocsin.api.contacts import ContactsApi, OwnContactsApi, WebPushApi
from tocsin.api.dependencies import DependenciesApi
from tocsin.api.description import DescriptionApi
from tocsin.api.event_rules import RulesApi
from tocsin.api.events import EventsApi
from tocsin.api.heartbeats import HeartbeatsApi, PingApi
from tocsin.api.history import HistoryApi
from tocsin.api.hosts import AgentsApi, HostsApi
from tocsin.api.keys import KeysApi
from tocsin.api.maintenance import MaintenanceApi
from tocsin.api.metrics import MetricsApi
from tocsin.api.notifications import NotificationsApi
from tocsin.api.oncall import CalendarPages, FeedsApi, OnCallApi, SchedulesApi, TeamsApi
from tocsin.api.policies import PoliciesApi
from tocsin.api.prometheus import ExportersApi, RemoteWriteApi
from tocsin.api.silences import SilencesApi
from tocsin.api.sites import SitesApi
from tocsin.api.stream import StreamApi
from tocsin.api.swaps import SwapsApi
from tocsin.api.thresholds import ThresholdsApi
from tocsin.api.users import UsersApi
from tocsin.api.whmcs import WhmcsApi
from tocsin.api.why import WhyApi
from tocsin.api.wishes import OwnWishesApi, WishesApi

_ON_CALL = (SchedulesApi, SwapsApi, OnCallApi, TeamsApi, FeedsApi)
_QUIET = (SilencesApi, MaintenanceApi, DependenciesApi)
_WATCHING = (HostsApi, AgentsApi, HeartbeatsApi, PingApi)
_LOOKING_BACK = (AuditApi, AnalyticsApi, WhyApi)
_CALLS = (
    EventsApi,
    AlertsApi,
    PoliciesApi,
    WebPushApi,
    OwnContactsApi,
    RulesApi,
    ContactsApi,
    OwnWishesApi,
    WishesApi,
    NotificationsApi,
    SitesApi,
    ThresholdsApi,
    ExportersApi,
    RemoteWriteApi,
    WhmcsApi,
    ChecksApi,
    AvailabilityApi,
    KeysApi,
    UsersApi,
    ChannelsApi,
    CallbacksApi,
    StreamApi,
    HistoryApi,
    MetricsApi,
    *_ON_CALL,
    *_QUIET,
    *_WATCHING,
    *_LOOKING_BACK,
)
ROUTES = (Router("/api/v1", route_handlers=_CALLS), DescriptionApi, CalendarPages)
