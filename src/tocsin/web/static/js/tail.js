// The explorer follows what comes in: events that fit the filters of the page, the newest on top, until somebody pauses.
import { announce } from "./say.js";
import { stream, want } from "./stream.js";

const KEPT = 200;
const list = document.querySelector("[data-tail]");
const button = document.querySelector("[data-pause]");
let paused = false;
let waiting = 0;

function fits(event) {
  const { site, type, severity, q } = list.dataset;
  if (site && event.site !== site) return false;
  if (type && !(type.endsWith(".") ? event.type.startsWith(type) : event.type === type)) return false;
  if (severity && event.severity < Number(severity)) return false;
  if (!q) return true;
  const words = q.toLowerCase();
  return [event.title, event.message, event.subject, event.host].some((text) => text?.toLowerCase().includes(words));
}

function add(event) {
  if (document.getElementById(`e-${event.id}`)) return;
  const row = document.getElementById("event-row").content.firstElementChild.cloneNode(true);
  row.id = `e-${event.id}`;
  row.className = `is-${event.severity}${event.status === "problem" ? " loud" : ""}`;
  const at = new Date(event.occurred_at);
  const time = row.querySelector("time");
  time.dateTime = event.occurred_at;
  time.textContent = at.toLocaleTimeString("en-GB", { timeZone: document.documentElement.dataset.zone || "UTC" });
  row.querySelector("use").setAttribute("href", `#s${event.severity}`);
  const link = row.querySelector("a");
  link.href = `${document.body.dataset.up}events/${event.id}`;
  link.textContent = event.title;
  row.querySelector("small").textContent = [event.type, event.subject, event.host].filter(Boolean).join(" · ");
  row.querySelector("[data-site]").textContent = event.site;
  list.prepend(row);
  while (list.children.length > KEPT) list.lastElementChild.remove();
  document.querySelector("[data-nothing]")?.remove();
}

function hear({ detail }) {
  if (!fits(detail)) return;
  if (!paused) return add(detail);
  waiting += 1;
  button.querySelector("[data-word]").textContent = `Go on (${waiting} new)`;
}

function toggle() {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  button.querySelector("[data-word]").textContent = paused ? "Go on" : "Pause";
  announce(paused ? "Paused" : "Live again");
  if (!paused && waiting) location.reload();
}

if (list && button) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  stream.addEventListener("event", hear);
  want("event");
}
