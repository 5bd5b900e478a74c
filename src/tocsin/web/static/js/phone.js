// On a phone: pages that were seen are there without network, and an alert is taken with one stroke of the thumb.
import { show } from "./live.js";
import { announce } from "./say.js";

const FAR = 96; // pixels that a stroke must go to count
const up = document.body.dataset.up || "";

export function install() {
  navigator.serviceWorker?.register(`${up}sw.js`).catch(() => {}); // without one everything works but offline
}

// A page from the cache says from when it is; what it offers to press is refused clearly, not lost.
export function sayStale() {
  const from = Number(document.documentElement.dataset.stale);
  const main = document.getElementById("main");
  if (!from || !main) return;
  show("lost");
  const banner = document.createElement("p");
  banner.id = "lost"; // nothing says it a second time
  banner.className = "banner is-3";
  banner.setAttribute("role", "status");
  const words = document.createElement("span");
  const minutes = Math.max(1, Math.round((Date.now() - from) / 60000));
  const at = new Date(from).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  words.textContent = `You are offline. This is what was known at ${at}, ${minutes < 120 ? `${minutes}\u00a0min` : `${Math.round(minutes / 60)}\u00a0h`} ago. Buttons work again with the connection.`;
  banner.append(words);
  main.prepend(banner);
  addEventListener("online", () => location.reload(), { once: true });
}

function rowOf(target) {
  return target.closest?.("[data-swipe]");
}

export function swipe() {
  let row = null;
  let from = null;
  let gone = 0;

  document.addEventListener("touchstart", (event) => {
    row = event.touches.length === 1 ? rowOf(event.target) : null;
    from = row && { x: event.touches[0].clientX, y: event.touches[0].clientY };
    gone = 0;
  }, { passive: true });

  document.addEventListener("touchmove", (event) => {
    if (!row || !from) return;
    const across = event.touches[0].clientX - from.x;
    const down = Math.abs(event.touches[0].clientY - from.y);
    if (!gone && (down > 12 || Math.abs(across) < 14)) {
      if (down > 12) row = null; // that is scrolling
      return;
    }
    event.preventDefault();
    gone = across;
    row.style.transform = `translateX(${Math.max(-140, Math.min(140, across))}px)`;
    row.dataset.does = across > 0 ? "ack" : "snooze";
    row.toggleAttribute("data-far", Math.abs(across) > FAR);
  }, { passive: false });

  const end = () => {
    if (!row) return;
    const done = row;
    const does = gone > FAR ? "acknowledge" : gone < -FAR ? "snooze 3600" : "";
    done.style.transform = "";
    done.removeAttribute("data-far");
    delete done.dataset.does;
    row = null;
    if (does) act(done, does);
  };
  document.addEventListener("touchend", end);
  document.addEventListener("touchcancel", () => {
    if (row) row.style.transform = "";
    row = null;
  });
}

function act(row, does) {
  const csrf = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
  announce(does === "acknowledge" ? "Acknowledging" : "Snoozing for an hour");
  htmx.ajax("POST", `${up}alerts/act`, { target: "#toasts", swap: "beforeend", values: { csrf, id: row.dataset.alert, do: does, back: "/alerts" } });
}
