"""What becomes of values of Prometheus: which are kept under their own names, which are turned into ours, which are refused."""

from collections.abc import Iterable, Mapping

import msgspec

from tocsin.core.errors import FieldError
from tocsin.metrics import rules as metric_rules
from tocsin.metrics.model import Sample, labels_of
from tocsin.prometheus import nodes
from tocsin.prometheus.model import Point

# What exporters say of themselves, and what node_exporter says of a host (of that, the essential is turned into our names).
FAMILIES = ("node_", "go_", "process_", "promhttp_", "prometheus_", "scrape_", "net_conntrack_")
MAX_REASONS = 5
_OUR_PLACE = ("__name__", "host", "instance")


class Sorted(msgspec.Struct, frozen=True):
    """What came, sorted: values to be kept, looks at hosts, how many are of no use, how many were refused, and why the first were."""

    samples: list[Sample]
    looks: list[tuple[str, nodes.Look]]  # by host, the oldest first
    stale: int  # what is no number says that a series has ended
    refused: int
    reasons: tuple[str, ...]


def host_of(labels: Mapping[str, str]) -> str:
    """Whose value it is: the label ``host``, else ``instance`` without its port."""
    given = labels.get("host")
    if given:
        return given.lower()
    instance = labels.get("instance", "").lower()
    if instance.startswith("["):
        return instance[1:].partition("]")[0]
    return instance.partition(":")[0] if instance.count(":") == 1 else instance


def sort(points: Iterable[Point], site_id: int, now: int, *, host: str | None = None, keep_all: bool = False) -> Sorted:
    """Sorts *points*. *host*: of this one, whatever their labels say. *keep_all*: also the `FAMILIES` under their own names."""
    samples: list[Sample] = []
    of_nodes: dict[tuple[int, str], list[Point]] = {}
    reasons: list[str] = []
    stale = refused = 0
    for point in points:
        at = now if point.at is None else point.at
        if point.value != point.value:  # the quickest way to ask whether it is no number
            stale += 1
            continue
        whose = host_of(point.labels) if host is None else host
        wrong = metric_rules.check_point(at, point.value, now)
        if not wrong and point.name in nodes.NAMES:
            of_nodes.setdefault((at, whose), []).append(point)
        sample = None
        if not wrong and (keep_all or not point.name.startswith(FAMILIES)):
            sample = _sample(point, site_id, whose, at)
            wrong = _why_refused(sample)
        if wrong:
            refused += 1
            if len(reasons) < MAX_REASONS:
                reasons.append(f"{point.name[:60] or 'a series without a name'}: {wrong[0].field} {wrong[0].message}")
        elif sample is not None:
            samples.append(sample)
    looks = [(whose, nodes.look(of_nodes[at, whose], at)) for at, whose in sorted(of_nodes)]
    return Sorted(samples, looks, stale, refused, tuple(reasons))


def _sample(point: Point, site_id: int, host: str, at: int) -> Sample:
    labels = {name: value for name, value in point.labels.items() if name not in _OUR_PLACE and value}
    return Sample(site_id, point.name, at, point.value, host, labels_of(labels))


def _why_refused(sample: Sample) -> tuple[FieldError, ...]:
    if not metric_rules.is_foreign_name(sample.name):
        text = f"must have letters, digits, _ and :, at most {metric_rules.MAX_NAME} characters"
        return (FieldError("__name__", text),)
    return metric_rules.check_place(sample.host, sample.labels)


def ours(derived: Iterable[nodes.Derived], site_id: int, host: str, at: int) -> list[Sample]:
    """Words of ours about a host as samples."""
    return [Sample(site_id, one.name, at, one.value, host, one.labels) for one in derived]
