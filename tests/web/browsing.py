"""How a real browser is started here."""

import os
import shutil

from tests.conftest import missing

# What Playwright turns off by itself, which Chromium forgets when features are named again; and the address bar's lists: each is
# a page of its own in every window, never seen here, and both together half of what a window costs.
FEATURES = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable"),
    *("LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect"),
    *("OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch"),
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
)
# A browser that asks nobody about anything.
ARGS = [
    f"--disable-features={','.join(FEATURES)}",
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# The same for tests, which stay on a page for a moment: what a script does often is not compiled a third and a fourth time, which costs
# more than it saves there. Scripts do the same; speed is measured without.
LEAN = [*ARGS, "--js-flags=--max-opt=1"]
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def chromium() -> str:
    """Where it is."""
    found = os.environ.get("TOCSIN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("Chromium is not installed (Debian: apt-get install chromium), and browser tests need it")
    return str(found)
