// What the page does with what it hears: counts at once, new alerts at once, the rest of the page a little later.
import { now } from "./clock.js";
import { announce } from "./say.js";
import { listen, stream } from "./stream.js";

const WORDS = ["", "Info", "Low", "Medium", "High", "Critical"];
const title = document.title.replace(/^\(\d+\) /, "");
const icon = document.querySelector('link[rel="icon"]');
const plainIcon = icon?.href;
let renewing = 0;
let renewedAt = -Infinity;
let within = 100; // ms in which the server wants to be asked for what is new, at a moment of our own
let from = 0; // when they began, and
let turn = 0; // our moment in them, from 0 to 1
let newsAt = 0; // when the news was, by the server's clock, for which we ask; 0: not known
let lostAt = 0;
let lastKnown = now();

const REST = 2000; // ms between two renewals while things change all the time: a new alert has its row at once anyway
const MOST_FRESH = 20; // such rows; the next renewal shows what is below

function renewSoon(at = 0) {
  newsAt = at;
  if (renewing) return;
  from = Math.max(performance.now() + 400, renewedAt + REST);
  turn = Math.random();
  awaitTurn();
}

function awaitTurn() {
  clearTimeout(renewing);
  renewing = setTimeout(renew, from + turn * within - performance.now());
}

function renew() {
  renewing = 0;
  if (document.hidden || busy()) return void (stale = true);
  renewedAt = performance.now();
  document.body.dispatchEvent(new CustomEvent("tocsin:renew"));
}
let stale = false;

// However many pages are open, the server bears it: it says how soon they are to ask. Those that waited for long do not come all at once.
function keepPace(said) {
  if (said.renew_within_ms < within) from = performance.now();
  within = said.renew_within_ms;
  if (renewing) awaitTurn();
}

// So many may ask that the server answers with what it found for another, if that is no older than the news that we heard. Where it
// takes long to find, it may be older all the same: then we ask once more, unless later news have us ask anyway.
function askForNews({ detail }) {
  if (newsAt && detail.triggeringEvent?.type === "tocsin:renew") detail.headers["HX-Renewal"] = newsAt;
}

function checkAge({ detail }) {
  const since = Number(detail.requestConfig?.headers["HX-Renewal"]);
  if (since && !renewing && Number(detail.xhr.getResponseHeader("X-As-Of")) < since) renewSoon(since);
}

// Nothing is exchanged under somebody's hands.
function busy() {
  const at = document.activeElement;
  return at?.matches("textarea, input:not([type=checkbox])") && at.value !== at.defaultValue ? true : Boolean(document.querySelector("[popover]:popover-open, [data-does]"));
}

function settle() {
  if (stale && !document.hidden && !busy()) {
    stale = false;
    renewSoon();
  }
}

function count(needed) {
  for (const badge of document.querySelectorAll("[data-open-count]")) {
    badge.hidden = !needed;
    badge.querySelector("[data-n]").textContent = needed;
  }
  document.title = needed ? `(${needed}) ${title}` : title;
  if (!icon) return;
  const words = needed > 99 ? "99+" : String(needed);
  icon.href = needed
    ? `data:image/svg+xml,${encodeURIComponent(
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0e1a35"/><path d="M16 5a2 2 0 0 1 2 2v.6c3.8 1 6 4.200 6 8.400 0 4.300 1.400 6.400 3 8H5c1.600-1.600 3-3.700 3-8 0-4.200 2.200-7.400 6-8.400V7a2 2 0 0 1 2-2z" fill="#ebb64e"/><circle cx="22" cy="10" r="9.500" fill="#ff6f5c" stroke="#0e1a35" stroke-width="1.500"/><text x="22" y="14" font-family="sans-serif" font-weight="700" font-size="${words.length > 2 ? 9 : 12}" text-anchor="middle" fill="#1d0503">${words}</text></svg>`,
      )}`
    : plainIcon;
}

const known = new Map();

function hear(alert) {
  lastKnown = now();
  const row = document.querySelector(`[data-alert="${CSS.escape(alert.id)}"]`);
  const before = known.get(alert.id);
  known.set(alert.id, alert.status);
  if (!row && alert.status === "open" && !alert.muted_by && before !== "open" && fresh(alert)) announce(`${WORDS[alert.severity]}: ${alert.title}`, alert.severity >= 4);
  document.body.dispatchEvent(new CustomEvent("tocsin:alert", { detail: alert }));
  renewSoon();
}

// A row for an alert that was not on the page, from the template beside the list; the next renewal puts it in its place.
function fresh(alert) {
  if (alert.occurrences > 1) return false;
  const template = document.getElementById("fresh-row");
  const list = template && document.querySelector(template.dataset.into);
  if (!list) return alert.severity >= 3;
  const row = template.content.firstElementChild.cloneNode(true);
  row.className = `is-${alert.severity}`;
  row.dataset.alert = alert.id;
  row.dataset.fresh = "";
  const fill = (name, text) => {
    for (const slot of row.querySelectorAll(`[data-f="${name}"]`)) slot.textContent = text;
  };
  for (const use of row.querySelectorAll("use[data-sign]")) use.setAttribute("href", `#s${alert.severity}`);
  for (const status of row.querySelectorAll(".status")) status.classList.add(`is-${alert.severity}`);
  for (const link of row.querySelectorAll("a")) link.href = `${document.body.dataset.up}alerts/${alert.id}`;
  for (const box of row.querySelectorAll("input[name=id]")) box.value = alert.number;
  fill("title", alert.title);
  fill("severity", WORDS[alert.severity]);
  fill("place", [alert.site, alert.host].filter(Boolean).join(" · "));
  list.prepend(row);
  [...list.querySelectorAll("[data-fresh]")].slice(MOST_FRESH).forEach((old) => old.remove());
  return true;
}

function summarize(said) {
  lastKnown = now();
  if (renewing) newsAt = said.at;
  count(said.needs_action);
  const open = document.querySelector("[data-last-event] time");
  if (open && said.last_event_at) open.dateTime = new Date(said.last_event_at).toISOString();
}

export function show(state) {
  for (const sign of document.querySelectorAll("[data-live]")) {
    sign.classList.toggle("paused", state !== "live");
    sign.querySelector("[data-live-word]").textContent = state === "live" ? "Live" : "Not live";
  }
  if (state === "live") {
    if (lostAt) renewSoon();
    lostAt = 0;
    document.getElementById("lost")?.remove();
  } else lostAt ||= Date.now();
}

// Said after a few seconds only: a connection that changes hands is no news.
function sayLost() {
  const main = document.getElementById("main");
  if (!lostAt || Date.now() - lostAt < 6000 || document.getElementById("lost") || !main) return;
  const banner = document.createElement("p");
  banner.id = "lost";
  banner.className = "banner is-3";
  banner.setAttribute("role", "status");
  const words = document.createElement("span");
  const at = new Date(lastKnown).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  words.textContent = `The connection to Tocsin is lost. This is what was known at ${at}; buttons work again when it is back.`;
  banner.append(words);
  main.prepend(banner);
}

export function live() {
  stream.addEventListener("alert", (event) => hear(event.detail));
  stream.addEventListener("reload", () => renewSoon());
  stream.addEventListener("summary", (event) => summarize(event.detail));
  document.body.addEventListener("htmx:configRequest", askForNews);
  document.body.addEventListener("htmx:afterRequest", checkAge);
  stream.addEventListener("pace", (event) => keepPace(event.detail));
  stream.addEventListener("state", (event) => show(event.detail));
  document.addEventListener("visibilitychange", settle);
  setInterval(() => {
    settle();
    sayLost();
  }, 2000);
  count(Number(document.querySelector("[data-open-count] [data-n]")?.textContent || 0));
  listen();
}
